namespace LlamaCluster.Model.Inference;

/// <summary>How many sequences have each KV block in their tables. A block that several have is read-only: a shared prefix.</summary>
sealed class BlockHolders(int blockCount)
{
    readonly int[] _holders = new int[blockCount];
    readonly long[] _marks = new long[blockCount];
    long _mark;

    public bool Knows(int block) => (uint)block < (uint)_holders.Length;

    public int Of(int block) => _holders[block];

    public void Hold(int block) => _holders[block]++;

    public void Release(int block) => _holders[block]--;

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
