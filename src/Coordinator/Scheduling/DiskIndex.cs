using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>Which blocks are on the disks of all workers of a view. One that only some have is of no use.</summary>
sealed class DiskIndex(int workers)
{
    /// <summary>Bounds what the workers' disks cost here: some 64 MB. What was used most recently is announced first.</summary>
    const int MostKeys = 1 << 20;

    readonly Dictionary<PrefixCacheKey, int> _workersWith = [];

    /// <summary>Blocks that all workers have.</summary>
    public int Count { get; private set; }

    public bool Has(PrefixCacheKey key) => _workersWith.GetValueOrDefault(key) >= workers;

    /// <summary>One more worker has the block.</summary>
    public void Kept(PrefixCacheKey key)
    {
        if (!_workersWith.TryGetValue(key, out var with) && _workersWith.Count >= MostKeys) return;
        _workersWith[key] = with + 1;
        if (with + 1 == workers) Count++;
    }

    /// <summary>One worker has it no longer.</summary>
    public void Dropped(PrefixCacheKey key)
    {
        if (!_workersWith.TryGetValue(key, out var with)) return;
        if (with == workers) Count--;
        if (with > 1) _workersWith[key] = with - 1;
        else _workersWith.Remove(key);
    }

    /// <summary>Who has the block is not known any more; workers that are asked to keep it say so again.</summary>
    public void Forget(PrefixCacheKey key)
    {
        if (_workersWith.Remove(key, out var with) && with >= workers) Count--;
    }

    public void Clear()
    {
        _workersWith.Clear();
        Count = 0;
    }
}
