using System.Collections;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// The blocks that nobody holds, in the order in which they are to be used again: ordinary ones, and when there are none of these any more, retained ones.
/// Every operation takes constant time; going through them is in that order.
/// </summary>
sealed class UnheldBlocks : IEnumerable<int>
{
    const int None = -1;

    // Two linked rings of blocks, ordinary and retained ones. The entries at _end and _retainedEnd are no blocks; each joins a ring's last block to its first.
    readonly int[] _next;
    readonly int[] _previous;
    readonly int _end;
    readonly int _retainedEnd;

    /// <summary>All blocks, in order of their ids.</summary>
    public UnheldBlocks(int blockCount)
    {
        (_next, _previous, _end, _retainedEnd) = (new int[blockCount + 2], new int[blockCount + 2], blockCount, blockCount + 1);
        (_next[_end], _previous[_end]) = (_end, _end);
        (_next[_retainedEnd], _previous[_retainedEnd]) = (_retainedEnd, _retainedEnd);
        for (var block = 0; block < blockCount; block++) AddLast(block);
    }

    public int Count { get; private set; }

    public void AddFirst(int block) => Insert(block, _end, _next[_end]);

    public void AddLast(int block) => Insert(block, _previous[_end], _end);

    public void AddLastRetained(int block) => Insert(block, _previous[_retainedEnd], _retainedEnd);

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
        var block = _next[_end] == _end ? _next[_retainedEnd] : _next[_end];
        Remove(block);
        return block;
    }

    public IEnumerator<int> GetEnumerator()
    {
        for (var block = _next[_end]; block != _end; block = _next[block]) yield return block;
        for (var block = _next[_retainedEnd]; block != _retainedEnd; block = _next[block]) yield return block;
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    void Insert(int block, int before, int after)
    {
        (_previous[block], _next[block]) = (before, after);
        (_next[before], _previous[after]) = (block, block);
        Count++;
    }
}
