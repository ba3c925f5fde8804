using Grpc.Core;

namespace LlamaCluster.Worker.Sources;

/// <summary>
/// How much a worker spends on giving weights to others. So many parts at a time, of each of which a mebibyte is in memory. A worker that runs a shard reads
/// for one of them at a time, so that one processor at most is taken from its steps. Safe for concurrent use.
/// </summary>
sealed class GivingTurns : IDisposable
{
    /// <summary>Parts at a time.</summary>
    public const int Streams = 4;

    /// <summary>Callers that may wait for another to end. The coordinator sends no more than <see cref="Streams"/>; these come while an old one ends.</summary>
    public const int MostWaiting = 8;

    static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(5);

    readonly SemaphoreSlim _streams = new(Streams);
    readonly SemaphoreSlim _reading = new(1);
    int _waiting;

    /// <summary>Waits for the turn to give a part, which ends when the result is disposed of.</summary>
    /// <exception cref="RpcException">RESOURCE_EXHAUSTED: others have all turns.</exception>
    public async Task<IDisposable> TakeAsync(CancellationToken cancellation)
    {
        if (_streams.Wait(0, CancellationToken.None)) return new Turn(_streams);
        try
        {
            if (Interlocked.Increment(ref _waiting) <= MostWaiting && await _streams.WaitAsync(LongestWait, cancellation)) return new Turn(_streams);
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
        throw new RpcException(new Status(StatusCode.ResourceExhausted, $"this worker gives {Streams} parts of weights at a time, and others wait already"));
    }

    /// <summary>Waits until nobody else reads for giving. Reading ends when the result is disposed of.</summary>
    public async Task<IDisposable> ReadAsync(CancellationToken cancellation)
    {
        await _reading.WaitAsync(cancellation);
        return new Turn(_reading);
    }

    public void Dispose()
    {
        _streams.Dispose();
        _reading.Dispose();
    }

    sealed class Turn(SemaphoreSlim turns) : IDisposable
    {
        public void Dispose() => turns.Release();
    }
}
