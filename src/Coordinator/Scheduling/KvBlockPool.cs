using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// The KV blocks of one replica. Only the pool knows who holds which. Several sequences may hold one block if they have its content in common.
/// <para>
/// A block that is published under the key of a prefix can be found by it as long as it is held, and afterwards until it is used for
/// something else. Blocks that hold nothing worth finding are used first, then those that were released the longest ago, and retained ones last, in the
/// same order. The pool is deterministic, and not safe for concurrent use.
/// </para>
/// <para>
/// A block that was left by the view before may lack its content in some layers. It counts as one that can be found, but only who fills it may take it.
/// </para>
/// </summary>
public sealed class KvBlockPool
{
    readonly int[] _holders;
    readonly UnheldBlocks _unheld;
    readonly Dictionary<PrefixCacheKey, int> _published = [];
    readonly int[] _retainers;   // how many want to find each block later
    readonly int[] _uses;        // how often each was allocated
    readonly List<PrefixCacheKey>?[] _keys;   // what each block is published under: the prefix that fills it, and one that ends within it
    readonly FullBlock?[] _full;              // what each block is full of
    readonly Dictionary<PrefixCacheKey, int> _lacking = [];

    public KvBlockPool(int blockCount)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blockCount, 1);
        (_holders, _unheld, _keys) = (new int[blockCount], new UnheldBlocks(blockCount), new List<PrefixCacheKey>?[blockCount]);
        (_retainers, _uses, _full) = (new int[blockCount], new int[blockCount], new FullBlock?[blockCount]);
    }

    /// <param name="kept">Full blocks that are there from before, those that are to be used again first at the beginning.</param>
    public KvBlockPool(int blockCount, IEnumerable<FullBlock> kept) : this(blockCount)
    {
        foreach (var full in kept)
        {
            if (!(full.Fill.IsLacking ? _lacking.TryAdd(full.Key, full.Block) : _published.TryAdd(full.Key, full.Block))) continue;
            if (!full.Fill.IsLacking) (_keys[full.Block] = []).Add(full.Key);
            _full[full.Block] = full;
            _unheld.Remove(full.Block);
            _unheld.AddLast(full.Block);
            Cached++;
        }
    }

    /// <summary><see cref="Held"/>, <see cref="Cached"/> and <see cref="Free"/> together.</summary>
    public int Total => _holders.Length;

    /// <summary>The positions that all blocks together have room for.</summary>
    public long Positions => (long)Total * Primitives.KvBlock.Positions;

    /// <summary>Blocks that sequences hold.</summary>
    public int Held { get; private set; }

    /// <summary>Blocks that nobody holds but that a prefix can be found in, or could if they were filled.</summary>
    public int Cached { get; private set; }

    /// <summary>Blocks that hold nothing worth finding.</summary>
    public int Free => _unheld.Count - Cached;

    /// <summary>Blocks that can be allocated: free and cached ones.</summary>
    public int Available => _unheld.Count;

    /// <summary>Told of each block that a prefix can be found in, just before the block is used for something else.</summary>
    internal Action<int>? Evicting { private get; set; }

    /// <summary>
    /// Full blocks, and those that lack their content in some layers: unheld ones in the order in which they are to be used again, then those that are held.
    /// </summary>
    public IEnumerable<FullBlock> Full => _unheld
        .Concat(Enumerable.Range(0, Total).Where(block => _holders[block] > 0))
        .Select(block => _full[block])
        .OfType<FullBlock>();

    public int HoldersOf(int block) => _holders[block];

    /// <summary>Appends <paramref name="count"/> blocks to <paramref name="table"/>, or leaves all as it was and says no.</summary>
    public bool TryAllocate(int count, List<int> table)
    {
        if (count > _unheld.Count) return false;
        for (; count > 0; count--)
        {
            var block = _unheld.RemoveFirst();
            if (_keys[block] is { Count: > 0 }) Evicting?.Invoke(block);
            if (Forget(block)) Cached--;
            (_holders[block], Held) = (1, Held + 1);
            (_retainers[block], _uses[block]) = (0, _uses[block] + 1);
            table.Add(block);
        }
        return true;
    }

    /// <summary>The block that was published under this key.</summary>
    public int? Find(PrefixCacheKey prefix) => _published.TryGetValue(prefix, out var block) ? block : null;

    /// <summary>The block that would be found under this key if it did not lack its content in some layers. Nobody holds it.</summary>
    public FullBlock? FindLacking(PrefixCacheKey prefix) => _lacking.TryGetValue(prefix, out var block) && _holders[block] == 0 ? _full[block] : null;

    /// <summary>One more sequence holds a block that was found.</summary>
    public void Share(int block)
    {
        if (_holders[block]++ > 0) return;
        _unheld.Remove(block);
        Cached--;
        Held++;
    }

    /// <summary>
    /// From now on the block, which must be held, can be found by a prefix whose last positions it holds. If another block already can, that one stays.
    /// </summary>
    /// <param name="fill">What filled the block; null: the prefix ends within it.</param>
    /// <returns>Whether it is this one.</returns>
    public bool Publish(int block, PrefixCacheKey prefix, BlockFill? fill = null)
    {
        if (_holders[block] == 0) throw new InvalidOperationException($"KV block {block} is published but nobody holds it");
        if (!_published.TryAdd(prefix, block)) return false;
        (_keys[block] ??= []).Add(prefix);
        if (fill is not { } by) return true;
        if (_lacking.Remove(prefix, out var lacking) && lacking != block) GiveUp(lacking);
        _full[block] = new FullBlock(block, prefix, by);
        return true;
    }

    /// <summary>From now on the block cannot be found by any prefix. Whoever holds it keeps it.</summary>
    public void Unpublish(int block)
    {
        if (!Forget(block) || _holders[block] > 0) return;
        Cached--;
        _unheld.Remove(block);
        _unheld.AddFirst(block);
    }

    /// <summary>
    /// One more wants to find a block later, which can be found now: it is used for something else after all blocks that nobody wants to find, but then it
    /// is.
    /// </summary>
    public RetainedBlock Retain(int block)
    {
        if (_keys[block] is not { Count: > 0 }) throw new InvalidOperationException($"KV block {block} is to be retained but no prefix can be found in it");
        _retainers[block]++;
        if (_holders[block] == 0)
        {
            _unheld.Remove(block);
            _unheld.AddLastRetained(block);
        }
        return new RetainedBlock(block, _uses[block]);
    }

    /// <summary>Whether a block that was retained still holds what it held then.</summary>
    public bool IsRetained(RetainedBlock retained) => _uses[retained.Block] == retained.Use;

    /// <summary>One less wants to find a block. If nobody does, it is as if it had been released just now.</summary>
    public void LetGo(RetainedBlock retained)
    {
        var block = retained.Block;
        if (!IsRetained(retained) || --_retainers[block] > 0 || _holders[block] > 0 || _keys[block] is not { Count: > 0 }) return;
        _unheld.Remove(block);
        _unheld.AddLast(block);
    }

    /// <summary>
    /// Takes back one hold of all blocks of <paramref name="table"/> and empties it. Its last blocks are used again first, because others build on
    /// the first.
    /// </summary>
    public void Release(List<int> table)
    {
        for (var i = table.Count - 1; i >= 0; i--) Release(table[i]);
        table.Clear();
    }

    public void Release(int block)
    {
        if (_holders[block] == 0) throw new InvalidOperationException($"KV block {block} is given back but nobody holds it");
        if (--_holders[block] > 0) return;
        Held--;
        if (!IsWorthKeeping(block))
        {
            _unheld.AddFirst(block);
            return;
        }
        Cached++;
        if (_retainers[block] > 0) _unheld.AddLastRetained(block);
        else _unheld.AddLast(block);
    }

    bool IsWorthKeeping(int block) => _keys[block] is { Count: > 0 } || _full[block] is not null;

    /// <returns>Whether the block held anything worth finding.</returns>
    bool Forget(int block)
    {
        if (!IsWorthKeeping(block)) return false;
        foreach (var key in _keys[block] ?? []) _published.Remove(key);
        _keys[block]?.Clear();
        if (_full[block] is { Fill.IsLacking: true } lacking) _lacking.Remove(lacking.Key);
        _full[block] = null;
        return true;
    }

    /// <summary>Another block has the content that this one lacks in some layers.</summary>
    void GiveUp(int block)
    {
        _full[block] = null;
        if (_holders[block] > 0) return;
        Cached--;
        _unheld.Remove(block);
        _unheld.AddFirst(block);
    }
}

/// <summary>A block as it was when it was retained.</summary>
/// <param name="Use">Tells it from what it is used for later.</param>
public readonly record struct RetainedBlock(int Block, int Use);
