namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>The blocks that nobody holds, in the order in which they are to be used again. Every operation takes constant time.</summary>
sealed class UnheldBlocks
{
    const int None = -1;

    // A linked ring of blocks. The entry at _end is no block; it joins the last block to the first.
    readonly int[] _next;
    readonly int[] _previous;
    readonly int _end;

    /// <summary>All blocks, in order of their ids.</summary>
    public UnheldBlocks(int blockCount)
    {
        (_next, _previous, _end) = (new int[blockCount + 1], new int[blockCount + 1], blockCount);
        (_next[_end], _previous[_end]) = (_end, _end);
        for (var block = 0; block < blockCount; block++) AddLast(block);
    }

    public int Count { get; private set; }

    public void AddFirst(int block) => Insert(block, _end, _next[_end]);

    public void AddLast(int block) => Insert(block, _previous[_end], _end);

    public void Remove(int block)
    {
        if (_next[block] == None) throw new InvalidOperationException($"KV block {block} is held, so it cannot be taken");
        (_next[_previous[block]], _previous[_next[block]]) = (_next[block], _previous[block]);
        (_next[block], _previous[block]) = (None, None);
        Count--;
    }

    /// <summary>There must be one.</summary>
    public int RemoveFirst()
    {
        var block = _next[_end];
        Remove(block);
        return block;
    }

    void Insert(int block, int before, int after)
    {
        (_previous[block], _next[block]) = (before, after);
        (_next[before], _previous[after]) = (block, block);
        Count++;
    }
}
