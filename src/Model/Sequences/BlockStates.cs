using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Sequences;

/// <summary>
/// What a stage knows of each KV block: how many sequences have it in their tables, how many of its positions hold keys and values, and how many
/// of those are sound. What a block holds stays when its sequences end, until another one writes to it, so that it can be shared as a prefix later.
/// </summary>
sealed class BlockStates(int blockCount)
{
    readonly int[] _holders = new int[blockCount];
    readonly int[] _filled = new int[blockCount];
    readonly int[] _sound = new int[blockCount];
    readonly long[] _marks = new long[blockCount];
    long _mark;

    public bool Knows(int block) => (uint)block < (uint)_holders.Length;

    public int HoldersOf(int block) => _holders[block];

    public void Hold(int block) => _holders[block]++;

    public void Release(int block) => _holders[block]--;

    /// <summary>Positions that hold keys and values, from the first one on: 0 to 16.</summary>
    public int FilledOf(int block) => _filled[block];

    /// <summary>Positions whose keys and values can be used, from the first one on. Fewer than are filled where a damaged sequence wrote.</summary>
    public int SoundOf(int block) => _sound[block];

    public bool IsFull(int block) => _filled[block] == KvBlock.Positions;

    public void Fill(int block, int positions, int sound) => (_filled[block], _sound[block]) = (positions, Math.Min(positions, sound));

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
