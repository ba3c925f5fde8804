using Grpc.Core;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>Messages of one direction of a call. What was sent first arrives first, whatever each message takes.</summary>
sealed class SimStream<T> where T : class
{
    readonly Queue<Action> _travelling = [];
    readonly Queue<T> _arrived = [];
    readonly List<T> _unsent = [];
    TaskCompletionSource<bool>? _reading;
    RpcException? _failure;
    bool _ended;
    long _lastArrival;

    public T Current { get; private set; } = null!;

    /// <summary>Its end was sent, or will be.</summary>
    public bool IsCompleting { get; set; }

    public void KeepUnsent(T message) => _unsent.Add(message);

    public IReadOnlyList<T> TakeUnsent()
    {
        T[] unsent = [.. _unsent];
        _unsent.Clear();
        return unsent;
    }

    /// <param name="arrive">Done in the process that it is sent to, after all that was sent before.</param>
    public void Send(SimNetwork network, SimProcess to, TimeSpan takes, Action arrive)
    {
        _travelling.Enqueue(arrive);
        var now = network.Simulator.Now;
        _lastArrival = Math.Max(_lastArrival, now + takes.Ticks);
        SimNetwork.Later(to, TimeSpan.FromTicks(_lastArrival - now), () =>
        {
            if (_travelling.TryDequeue(out var first)) first();
        });
    }

    public void Lose() => _travelling.Clear();

    public void Deliver(T message)
    {
        if (_ended) return;
        _arrived.Enqueue(message);
        Wake();
    }

    /// <param name="failure">Null: all is well.</param>
    public void End(RpcException? failure)
    {
        if (_ended) return;
        (_ended, _failure) = (true, failure);
        Wake();
    }

    public async Task<bool> MoveNextAsync(CancellationToken cancelled, CancellationToken alsoCancelled)
    {
        while (true)
        {
            cancelled.ThrowIfCancellationRequested();
            alsoCancelled.ThrowIfCancellationRequested();
            if (_arrived.TryDequeue(out var next))
            {
                Current = next;
                return true;
            }
            if (_ended) return _failure is null ? false : throw _failure;
            var reading = _reading = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            using var one = cancelled.Register(() => reading.TrySetResult(false));
            using var other = alsoCancelled.Register(() => reading.TrySetResult(false));
            await reading.Task;
        }
    }

    void Wake() => _reading?.TrySetResult(true);
}
