namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>Sequences that wait for blocks: by priority, then fairly among clients, then as they came.</summary>
sealed class WaitingLine
{
    readonly SortedDictionary<int, PriorityClass> _classes = [];

    public int Count { get; private set; }

    /// <summary>Known tokens of all that wait.</summary>
    public long Tokens { get; private set; }

    /// <summary>A new sequence of a client. It counts for its client until <see cref="Leave"/>, whether it waits or runs.</summary>
    public void Enter(Sequence sequence)
    {
        if (!_classes.TryGetValue(sequence.Priority, out var its)) _classes.Add(sequence.Priority, its = new PriorityClass());
        sequence.Share = its.Join(sequence.Client);
        Add(sequence);
    }

    /// <summary>It waits again, at the place it came in.</summary>
    public void Add(Sequence sequence)
    {
        sequence.Share.Waiting.Add(sequence);
        Count++;
        Tokens += sequence.Tokens.Count;
    }

    /// <summary>It waits no longer.</summary>
    public bool Remove(Sequence sequence)
    {
        if (!sequence.Share.Waiting.Remove(sequence)) return false;
        Count--;
        Tokens -= sequence.Tokens.Count;
        return true;
    }

    /// <summary>It has ended.</summary>
    public void Leave(Sequence sequence)
    {
        sequence.Share.Open--;
        if (_classes[sequence.Priority].IsEmpty) _classes.Remove(sequence.Priority);
    }

    /// <summary>The sequence that comes next, of those that are first in their client's line and meet a condition.</summary>
    public Sequence? First(Func<Sequence, bool> condition)
    {
        foreach (var its in _classes.Values)
            if (its.First(condition) is { } first) return first;
        return null;
    }
}
