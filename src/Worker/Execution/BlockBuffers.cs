using System.Collections.Concurrent;

namespace LlamaCluster.Worker.Execution;

/// <summary>Buffers of one block each, made when they are first needed. Safe for concurrent use.</summary>
sealed class BlockBuffers
{
    const long SpillBytes = 32 << 20;
    const long ReadBytes = 16 << 20;

    readonly int _bytes;
    readonly SemaphoreSlim _free;
    readonly ConcurrentStack<byte[]> _made = new();

    BlockBuffers(int count, int bytes) => (Count, _bytes, _free) = (count, bytes, new SemaphoreSlim(count));

    public int Count { get; }

    public static BlockBuffers ForSpills(int blockBytes) => new((int)Math.Clamp(SpillBytes / Math.Max(1, blockBytes), 4, 64), blockBytes);

    public static BlockBuffers ForReads(int blockBytes) => new((int)Math.Clamp(ReadBytes / Math.Max(1, blockBytes), 2, 16), blockBytes);

    public bool TryTake(out byte[] buffer)
    {
        var taken = _free.Wait(0);
        buffer = taken ? Make() : [];
        return taken;
    }

    /// <summary>Waits for one.</summary>
    /// <returns>False if it was cancelled.</returns>
    public bool TryTake(CancellationToken cancellation, out byte[] buffer)
    {
        buffer = [];
        try
        {
            _free.Wait(cancellation);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        buffer = Make();
        return true;
    }

    public void Return(byte[] buffer)
    {
        _made.Push(buffer);
        _free.Release();
    }

    byte[] Make() => _made.TryPop(out var made) ? made : GC.AllocateUninitializedArray<byte>(_bytes);
}
