using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Sequences;

/// <summary>
/// What a stage knows of each KV block: how many sequences have it in their tables, how many of its positions hold keys and values, and how many
/// of those are sound. What a block holds stays when its sequences end, until another one writes to it, so that it can be shared as a prefix later.
/// </summary>
sealed class BlockStates
{
    readonly int[] _holders;
    readonly int[] _filled;
    readonly int[] _sound;
    readonly long[] _marks;
    readonly int[] _aboveFrom;   // from which layer on a block holds what it did before, up to the last; int.MaxValue: from none
    long _mark;

    /// <param name="kept">What the blocks hold from before; null: nothing.</param>
    public BlockStates(int blockCount, StageShape shape, KeptStates? kept)
    {
        (_holders, _filled, _sound) = (new int[blockCount], new int[blockCount], new int[blockCount]);
        (_marks, _aboveFrom) = (new long[blockCount], new int[blockCount]);
        Array.Fill(_aboveFrom, int.MaxValue);
        if (kept is null || kept.EndLayer < shape.EndLayer) return;
        for (var block = 0; block < Math.Min(blockCount, kept.From.Length); block++)
        {
            if (kept.From[block] <= shape.FirstLayer) Fill(block, KvBlock.Positions, KvBlock.Positions);
            if (kept.From[block] < shape.EndLayer) _aboveFrom[block] = kept.From[block];
        }
    }

    public int Count => _holders.Length;

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

    /// <summary>Whether a block holds what it held before, in the layers from here to the end of the stage, whatever the layers below hold.</summary>
    public bool IsKeptAbove(int block, int layer) => _aboveFrom[block] <= layer;

    /// <summary>The block holds something else from now on.</summary>
    public void ForgetAbove(int block) => _aboveFrom[block] = int.MaxValue;

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
