namespace LlamaCluster.Text.Tokenization.Merging;

/// <summary>A binary heap of candidates, the first to merge at the top, in memory lent by the caller.</summary>
ref struct CandidateHeap(Span<MergeCandidate> memory)
{
    readonly Span<MergeCandidate> _items = memory;
    int _count;

    /// <summary>Adds without order: call <see cref="Order"/> before the first <see cref="TryPop"/>.</summary>
    public void Append(MergeCandidate candidate) => _items[_count++] = candidate;

    public void Order()
    {
        for (var at = _count / 2 - 1; at >= 0; at--) SiftDown(at, _items[at]);
    }

    public void Push(MergeCandidate candidate)
    {
        var at = _count++;
        while (at > 0)
        {
            var parent = (at - 1) / 2;
            if (_items[parent].Order <= candidate.Order) break;
            _items[at] = _items[parent];
            at = parent;
        }
        _items[at] = candidate;
    }

    public bool TryPop(out MergeCandidate first)
    {
        if (_count == 0)
        {
            first = default;
            return false;
        }
        first = _items[0];
        var last = _items[--_count];
        if (_count > 0) SiftDown(0, last);
        return true;
    }

    void SiftDown(int at, MergeCandidate candidate)
    {
        while (true)
        {
            var child = 2 * at + 1;
            if (child >= _count) break;
            if (child + 1 < _count && _items[child + 1].Order < _items[child].Order) child++;
            if (candidate.Order <= _items[child].Order) break;
            _items[at] = _items[child];
            at = child;
        }
        _items[at] = candidate;
    }
}
