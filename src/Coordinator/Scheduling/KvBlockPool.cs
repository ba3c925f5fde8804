namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// The KV blocks of one replica. A block is <see cref="BlockSize"/> consecutive positions of one sequence, in every layer, under the
/// same id on every worker; who holds which is known here and nowhere else. Deterministic; not safe for concurrent use.
/// </summary>
public sealed class KvBlockPool
{
    public const int BlockSize = 16;

    readonly Stack<int> _free;
    readonly bool[] _held;

    public KvBlockPool(int blockCount)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blockCount, 1);
        _held = new bool[blockCount];
        _free = new Stack<int>(blockCount);
        for (var block = blockCount - 1; block >= 0; block--) _free.Push(block);
    }

    public int Total => _held.Length;

    public int Free => _free.Count;

    public int Used => Total - Free;

    /// <summary>How many blocks hold so many positions.</summary>
    public static int BlocksFor(int positions) => (positions + BlockSize - 1) / BlockSize;

    /// <summary>Appends <paramref name="count"/> blocks to <paramref name="table"/>, or leaves all as it was and says no.</summary>
    public bool TryAllocate(int count, List<int> table)
    {
        if (count > _free.Count) return false;
        for (; count > 0; count--)
        {
            var block = _free.Pop();
            _held[block] = true;
            table.Add(block);
        }
        return true;
    }

    /// <summary>Takes all blocks of <paramref name="table"/> back and empties it.</summary>
    public void Release(List<int> table)
    {
        foreach (var block in table)
        {
            if (!_held[block]) throw new InvalidOperationException($"KV block {block} is given back but nobody holds it");
            _held[block] = false;
            _free.Push(block);
        }
        table.Clear();
    }
}
