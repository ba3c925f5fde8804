using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Sequences;

/// <summary>
/// What a stage knows of each KV block: how many sequences have it in their tables, and how many of its positions hold keys and values.
/// What a block holds stays when its sequences end, until another one writes to it, so that it can be shared as a prefix later.
/// </summary>
sealed class BlockStates(int blockCount)
{
    readonly int[] _holders = new int[blockCount];
    readonly int[] _filled = new int[blockCount];
    readonly long[] _marks = new long[blockCount];
    long _mark;

    public bool Knows(int block) => (uint)block < (uint)_holders.Length;

    public int HoldersOf(int block) => _holders[block];

    public void Hold(int block) => _holders[block]++;

    public void Release(int block) => _holders[block]--;

    /// <summary>From its first position on, 0 to 16.</summary>
    public int FilledOf(int block) => _filled[block];

    public bool IsFull(int block) => _filled[block] == KvBlock.Positions;

    public void SetFilled(int block, int positions) => _filled[block] = positions;

    /// <summary>From here on no block is marked.</summary>
    public void ClearMarks() => _mark++;

    /// <summary>Whether the block was not marked yet.</summary>
    public bool TryMark(int block)
    {
        if (_marks[block] == _mark) return false;
        _marks[block] = _mark;
        return true;
    }
}
