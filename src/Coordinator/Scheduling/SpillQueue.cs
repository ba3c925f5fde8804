using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// Which blocks are written to disk, and when. A block is queued when it is full, and written when the workers have buffers for it, so that little is lost
/// when they are killed. One that is used for something else before its turn comes is written then, if there is a buffer; else it is lost, and nobody waits.
/// </summary>
/// <param name="index">What is on disk already.</param>
/// <param name="atOnce">Spills that every worker has buffers for.</param>
sealed class SpillQueue(KvBlockPool pool, DiskIndex index, int workers, int atOnce)
{
    /// <summary>Full blocks that one message orders to be written: copying them to buffers takes the workers' threads well below a millisecond each.</summary>
    const int MostAtATime = 8;

    /// <summary>Keys in one message, and of one sequence.</summary>
    const int MostUsed = 8192;

    readonly PrefixCacheKey?[] _fullKeys = new PrefixCacheKey?[pool.Total];   // what each block is full of
    readonly Queue<Entry> _queue = [];
    readonly List<DiskBlock> _urgent = [];
    readonly Queue<PrefixCacheKey> _underWay = [];
    readonly HashSet<PrefixCacheKey> _underWayKeys = [];
    readonly long[] _done = new long[workers];
    long _finished;   // spills that all workers are done with
    long _sent;

    /// <summary>Blocks that were ordered to be written, in all.</summary>
    public long Spilled => _sent;

    /// <summary>All that is to be written has been, as far as it could.</summary>
    public bool IsIdle => _queue.Count == 0 && _urgent.Count == 0 && _sent == _finished;

    /// <summary>Something is left to be taken while no worker has anything to answer.</summary>
    public bool IsStalled => _queue.Count > 0 && _sent == _finished;

    int Room => (int)(atOnce - (_sent - _finished)) - _urgent.Count;

    /// <summary>A block can be found under the key of the prefix that fills it. It is written when the step that fills it has been sent.</summary>
    public void Fill(int block, PrefixCacheKey key)
    {
        _fullKeys[block] = key;
        Enqueue(new Entry(block, key, null));
    }

    /// <summary>A block was read from disk.</summary>
    public void Refill(int block, PrefixCacheKey key) => _fullKeys[block] = key;

    /// <summary>A block is about to be used for something else.</summary>
    public void Evict(int block)
    {
        if (_fullKeys[block] is not { } key) return;
        _fullKeys[block] = null;
        if (IsToBeWritten(block, key) && Room > 0) _urgent.Add(new DiskBlock(block, key));
    }

    /// <summary>A sequence has ended: its blocks were used just now, its first ones most recently, because others build on them.</summary>
    /// <param name="blocks">How many are full.</param>
    public void Use(SequenceRun run, int blocks)
    {
        var count = Math.Min(blocks, MostUsed);
        if (count == 0) return;
        var keys = new PrefixCacheKey[count];
        for (var i = 0; i < count; i++) keys[i] = run.Keys.Of((count - i) * KvBlock.Positions);
        Enqueue(new Entry(0, default, keys));
    }

    /// <summary>A worker is done with so many spills more.</summary>
    public void Done(int worker, int count)
    {
        _done[worker] = Math.Min(_sent, _done[worker] + count);
        for (var all = _done.Min(); _finished < all; _finished++) _underWayKeys.Remove(_underWay.Dequeue());
    }

    /// <summary>What is to be sent now, after all steps before and before the next one.</summary>
    public (List<DiskBlock> Spills, List<PrefixCacheKey> Used) Take()
    {
        List<DiskBlock> spills = [];
        List<PrefixCacheKey> used = [];
        foreach (var urgent in _urgent) Order(urgent, spills);
        _urgent.Clear();
        while (spills.Count < MostAtATime && used.Count < MostUsed && _queue.TryPeek(out var next))
        {
            if (next.Used is { } keys) used.AddRange(keys);
            else if (IsToBeWritten(next.Block, next.Key))
            {
                if (Room <= 0) break;
                Order(new DiskBlock(next.Block, next.Key), spills);
            }
            _queue.Dequeue();
        }
        return (spills, used);
    }

    bool IsToBeWritten(int block, PrefixCacheKey key) => pool.Find(key) == block && !index.Has(key) && !_underWayKeys.Contains(key);

    void Order(DiskBlock block, List<DiskBlock> spills)
    {
        if (!_underWayKeys.Add(block.Key)) return;
        _underWay.Enqueue(block.Key);
        index.Forget(block.Key);   // every worker says anew whether it has it
        spills.Add(block);
        _sent++;
    }

    /// <summary>Workers that write more slowly than blocks are filled do not make the queue grow.</summary>
    void Enqueue(Entry entry)
    {
        if (_queue.Count > 2 * pool.Total) _queue.Dequeue();
        _queue.Enqueue(entry);
    }

    /// <param name="Used">Null: the block is to be written.</param>
    readonly record struct Entry(int Block, PrefixCacheKey Key, PrefixCacheKey[]? Used);
}
