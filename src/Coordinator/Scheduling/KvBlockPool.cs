namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// The KV blocks of one replica. Who holds which is known here and nowhere else. Several sequences may hold one whose content they have in common.
/// <para>
/// A block that is published under the hash of a prefix can be found by it as long as it is held, and afterwards until it is used for
/// something else: first come blocks that hold nothing worth finding, then those that were let go of the longest ago. Deterministic;
/// not safe for concurrent use.
/// </para>
/// </summary>
public sealed class KvBlockPool
{
    readonly int[] _holders;
    readonly UnheldBlocks _unheld;
    readonly Dictionary<PrefixHash, int> _published = [];
    readonly List<PrefixHash>?[] _hashes;   // what each block is published under: what fills it, and a prompt that ends within it

    public KvBlockPool(int blockCount)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blockCount, 1);
        (_holders, _unheld, _hashes) = (new int[blockCount], new UnheldBlocks(blockCount), new List<PrefixHash>?[blockCount]);
    }

    /// <summary><see cref="Held"/>, <see cref="Cached"/> and <see cref="Free"/> together.</summary>
    public int Total => _holders.Length;

    /// <summary>Blocks that sequences hold.</summary>
    public int Held { get; private set; }

    /// <summary>Blocks that nobody holds, but which can be found by a prefix.</summary>
    public int Cached { get; private set; }

    /// <summary>Blocks that hold nothing worth finding.</summary>
    public int Free => _unheld.Count - Cached;

    /// <summary>Blocks that can be allocated: free and cached ones.</summary>
    public int Available => _unheld.Count;

    public int HoldersOf(int block) => _holders[block];

    /// <summary>Appends <paramref name="count"/> blocks to <paramref name="table"/>, or leaves all as it was and says no.</summary>
    public bool TryAllocate(int count, List<int> table)
    {
        if (count > _unheld.Count) return false;
        for (; count > 0; count--)
        {
            var block = _unheld.RemoveFirst();
            Forget(block);
            (_holders[block], Held) = (1, Held + 1);
            table.Add(block);
        }
        return true;
    }

    /// <summary>The block that was published under this hash.</summary>
    public int? Find(PrefixHash prefix) => _published.TryGetValue(prefix, out var block) ? block : null;

    /// <summary>One more sequence holds a block that was found.</summary>
    public void Share(int block)
    {
        if (_holders[block]++ > 0) return;
        _unheld.Remove(block);
        Cached--;
        Held++;
    }

    /// <summary>The block, which is held, can be found by a prefix whose last positions it holds. If another one already can, that one stays.</summary>
    public void Publish(int block, PrefixHash prefix)
    {
        if (_holders[block] == 0) throw new InvalidOperationException($"KV block {block} is published but nobody holds it");
        if (_published.TryAdd(prefix, block)) (_hashes[block] ??= []).Add(prefix);
    }

    /// <summary>Takes one hold of all blocks of <paramref name="table"/> back and empties it. Its last blocks are used again first: others build on the first.</summary>
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
        if (_hashes[block] is not { Count: > 0 })
        {
            _unheld.AddFirst(block);
            return;
        }
        Cached++;
        _unheld.AddLast(block);
    }

    void Forget(int block)
    {
        if (_hashes[block] is not { Count: > 0 } hashes) return;
        foreach (var hash in hashes) _published.Remove(hash);
        hashes.Clear();
        Cached--;
    }
}
