using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Fakes;

/// <summary>
/// The KV cache of a worker: who holds which block, and for each position what it was computed from (<see cref="FakeModel.Kv(ulong, int)"/>).
/// Says what is wrong where a real worker would refuse, or where it would compute from another's keys and values.
/// </summary>
sealed class FakeKv(int blockCount)
{
    const int BlockSize = KvBlock.Positions;

    readonly ulong[] _positions = new ulong[blockCount * BlockSize];   // 0: nothing
    readonly int[] _holders = new int[blockCount];

    public bool IsIdle => _holders.All(holders => holders == 0);

    public string? Copy(int source, int target)
    {
        if (Problem(source) is { } problem) return problem;
        if (Problem(target) is { } other) return other;
        if (_holders[target] > 0) return $"block {source} is copied over block {target}, which is held";
        Array.Copy(_positions, source * BlockSize, _positions, target * BlockSize, BlockSize);
        return null;
    }

    /// <summary>Appends new blocks to a table. One that another holds must be full.</summary>
    public string? Extend(List<int> table, IEnumerable<int> blocks)
    {
        foreach (var block in blocks)
        {
            if (Problem(block) is { } problem) return problem;
            if (table.Contains(block)) return $"block {block} is in its table already";
            if (_holders[block]++ > 0 && _positions[((block + 1) * BlockSize) - 1] == 0) return $"block {block} is shared but not full";
            table.Add(block);
        }
        return null;
    }

    /// <summary>Fills positions from <paramref name="start"/> on, after what is there already.</summary>
    /// <returns>What the last position then stands for.</returns>
    public ulong Write(List<int> table, int start, IEnumerable<int> tokens, out string? problem)
    {
        (problem, var kv) = (null, start == 0 ? 0 : At(table, start - 1));
        if (start > 0 && kv == 0) problem = $"position {start - 1} was not computed";
        foreach (var (i, token) in tokens.Index())
        {
            var block = table[(start + i) / BlockSize];
            if (_holders[block] != 1) problem = $"block {block} is written to, but {_holders[block]} hold it";
            var slot = (block * BlockSize) + ((start + i) % BlockSize);
            _positions[slot] = kv = FakeModel.Kv(kv, token);
            if (slot % BlockSize < BlockSize - 1) _positions[slot + 1] = 0;
        }
        return kv;
    }

    public bool IsFree(int block) => _holders[block] == 0;

    /// <summary>What all positions of a block stand for.</summary>
    public ulong[] CopyOut(int block) => _positions[(block * BlockSize)..((block + 1) * BlockSize)];

    public void CopyIn(int block, ulong[] content) => content.CopyTo(_positions, block * BlockSize);

    /// <summary>What a position stands for.</summary>
    public ulong At(List<int> table, int position) => _positions[(table[position / BlockSize] * BlockSize) + (position % BlockSize)];

    public void Release(List<int> table)
    {
        foreach (var block in table) _holders[block]--;
    }

    string? Problem(int block) => block >= 0 && block < blockCount ? null : $"there is no block {block}";
}
