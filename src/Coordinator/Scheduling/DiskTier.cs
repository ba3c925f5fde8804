using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// KV blocks that the workers of a view keep on disk. What a prompt begins with and memory does not have is read from there. The sequence waits meanwhile
/// as one that waits for memory does, and others go on. Blocks that are being read belong to the restore; when all workers have them they can be found as
/// if they had been computed. What a worker could not read is computed, with all that builds on it.
/// </summary>
public sealed class DiskTier
{
    /// <summary>Blocks of one restore, so that its message keeps the budget: a million positions.</summary>
    const int MostAtATime = 65_536;

    readonly KvBlockPool _pool;
    readonly int _workers;
    readonly DiskIndex _index;
    readonly SpillQueue _spills;
    readonly Dictionary<ulong, Restore> _restores = [];
    readonly Dictionary<PrefixCacheKey, Restore> _underWay = [];
    readonly List<BlockRestore> _ordered = [];
    readonly List<ulong> _givenUp = [];
    readonly long[] _answers;
    ulong _lastRestore;
    bool _isGivenUp;

    /// <param name="workers">How many there are. A block counts only if all have it.</param>
    /// <param name="spillsAtOnce">Blocks that every worker has buffers for.</param>
    public DiskTier(KvBlockPool pool, int workers, int spillsAtOnce)
    {
        (_pool, _workers, _index, _answers) = (pool, workers, new DiskIndex(workers), new long[workers]);
        _spills = new SpillQueue(pool, _index, workers, spillsAtOnce);
        pool.Evicting = _spills.Evict;
    }

    /// <summary>Blocks that all workers have on disk.</summary>
    public int Count => _index.Count;

    /// <summary>Blocks that were ordered to be written, in all.</summary>
    public long Spilled => _spills.Spilled;

    /// <summary>Blocks that were read, in all.</summary>
    public long Restored { get; private set; }

    /// <summary>Restores that sequences wait for.</summary>
    public int Restoring => _restores.Count;

    /// <summary>A worker has not answered all that it was asked to read.</summary>
    public bool IsAwaited(int worker) => _restores.Values.Any(restore => !restore.HasAnswered(worker));

    /// <summary>What a worker has said of restores so far, in all: by it one sees whether it moves. What it writes says nothing of that.</summary>
    public long AnswersOf(int worker) => _answers[worker];

    /// <summary>Blocks that restores hold, each once for each.</summary>
    public IEnumerable<int> Held => _restores.Values.SelectMany(restore => restore.Held);

    /// <summary>All that is to be written has been, as far as it could.</summary>
    public bool IsIdle => _isGivenUp || _spills.IsIdle;

    /// <summary>There are moves that did not fit into the last message, and no answer of a worker will be an occasion to send them.</summary>
    public bool HasMoreToSay => !_isGivenUp && _spills.IsStalled;

    public bool Has(PrefixCacheKey key) => _index.Has(key);

    public bool IsRestoring(PrefixCacheKey key) => _underWay.ContainsKey(key);

    /// <summary>A block, which is held, can be found under the key of the prefix that fills it.</summary>
    public void Fill(int block, PrefixCacheKey key)
    {
        if (!_isGivenUp) _spills.Fill(block, key);
    }

    /// <summary>A sequence gives up its blocks, of which so many are full.</summary>
    public void Use(SequenceRun run, int blocks)
    {
        if (!_isGivenUp) _spills.Use(run, blocks);
    }

    /// <summary>Begins to read the blocks that a sequence could begin with, and that memory does not have.</summary>
    /// <param name="most">How many blocks it could begin with at most.</param>
    /// <param name="room">Blocks that there must be room for, besides those in memory: all that the sequence needs, and some for others.</param>
    /// <returns>False if there is no room.</returns>
    public bool TryRestore(SequenceRun run, int most, int room)
    {
        var (found, missing) = Find(run, most);
        foreach (var (_, block) in found) _pool.Share(block);
        List<int> read = [];
        if (room - found.Count > _pool.Available || !_pool.TryAllocate(missing.Count, read))
        {
            _pool.Release([.. found.Select(one => one.Block)]);
            return false;
        }
        var blocks = missing.Zip(read, (one, block) => (one.Index, Block: new DiskBlock(block, one.Key))).ToList();
        var held = found.Concat(blocks.Select(one => (one.Index, one.Block.Block))).OrderBy(one => one.Index).Select(one => one.Block).ToList();
        var restore = new Restore(++_lastRestore, [.. blocks.Select(one => one.Block)], held, _workers);
        _restores.Add(restore.Id, restore);
        foreach (var (_, key) in missing) _underWay.Add(key, restore);
        _ordered.Add(new BlockRestore(restore.Id, restore.Blocks));
        return true;
    }

    public void Update(DiskReport report)
    {
        if (report is DiskReport.Restoring or DiskReport.Restored) _answers[report.Worker]++;
        switch (report)
        {
            case DiskReport.Changed changed: Update(changed); break;
            case DiskReport.Restored restored: Update(restored); break;
        }
    }

    /// <summary>What is to be sent now, behind the steps that were sent before. Null: nothing.</summary>
    public BlockMoves? TakeMoves()
    {
        if (_isGivenUp) return TakeGivenUp();
        var (spills, used) = _spills.Take();
        if (spills.Count == 0 && used.Count == 0 && _ordered.Count == 0) return null;
        var moves = new BlockMoves(spills, [.. _ordered], used);
        _ordered.Clear();
        return moves;
    }

    /// <summary>The disks do not answer. Nobody waits for them any more, and the blocks that were to be read into are free once the workers are told.</summary>
    public void GiveUp()
    {
        _isGivenUp = true;
        _pool.Evicting = null;
        foreach (var restore in _restores.Values) _pool.Release(restore.Held);
        _givenUp.AddRange(_restores.Keys);
        _restores.Clear();
        _ordered.Clear();
        _index.Clear();
        _underWay.Clear();
    }

    BlockMoves? TakeGivenUp()
    {
        if (_givenUp.Count == 0) return null;
        var moves = new BlockMoves([], [], []) { GivenUp = [.. _givenUp] };
        _givenUp.Clear();
        return moves;
    }

    void Update(DiskReport.Changed changed)
    {
        _spills.Done(changed.Worker, changed.SpillsDone);
        if (_isGivenUp) return;
        foreach (var key in changed.Dropped) _index.Dropped(key);
        foreach (var key in changed.Kept) _index.Kept(key);
    }

    void Update(DiskReport.Restored restored)
    {
        if (!_restores.TryGetValue(restored.Id, out var restore) || !restore.Answer(restored.Worker, restored.Count)) return;
        _restores.Remove(restore.Id);
        foreach (var (index, (block, key)) in restore.Blocks.Index())
        {
            _underWay.Remove(key);
            // One that could be read may build on one that could not.
            if (index < restore.Count && _pool.Publish(block, key, BlockFill.Before)) _spills.Refill(block, key);
        }
        if (restore.Count < restore.Blocks.Count) _index.Forget(restore.Blocks[restore.Count].Key);
        _pool.Release(restore.Held);
        Restored += restore.Count;
    }

    /// <summary>The blocks from the sequence's beginning that are in memory or on disk.</summary>
    (List<(int Index, int Block)> Found, List<(int Index, PrefixCacheKey Key)> Missing) Find(SequenceRun run, int most)
    {
        List<(int, int)> found = [];
        List<(int, PrefixCacheKey)> missing = [];
        for (var i = 0; i < most && missing.Count < MostAtATime; i++)
        {
            var key = run.Keys.Of((i + 1) * KvBlock.Positions);
            if (_pool.Find(key) is { } block) found.Add((i, block));
            else if (_index.Has(key) && !_underWay.ContainsKey(key)) missing.Add((i, key));
            else break;
        }
        return (found, missing);
    }

    /// <param name="Blocks">To be read.</param>
    /// <param name="Held">These and the ones in memory before and between them, in order of positions.</param>
    sealed record Restore(ulong Id, IReadOnlyList<DiskBlock> Blocks, List<int> Held, int Workers)
    {
        readonly HashSet<int> _answered = [];

        /// <summary>Blocks that all who have answered could read, from the first on.</summary>
        public int Count { get; private set; } = Blocks.Count;

        public bool HasAnswered(int worker) => _answered.Contains(worker);

        /// <returns>Whether all workers have answered.</returns>
        public bool Answer(int worker, int count)
        {
            if (_answered.Add(worker)) Count = Math.Min(Count, count);
            return _answered.Count == Workers;
        }
    }
}
