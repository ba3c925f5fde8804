namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>Sequences that wait for blocks: by priority, then fairly among clients, then as they came.</summary>
sealed class WaitingLine
{
    readonly SortedDictionary<int, PriorityClass> _classes = [];
    readonly Dictionary<string, int> _ofClient = [];   // how many wait, of each client that has any

    public int Count { get; private set; }

    /// <summary>Known tokens of all that wait.</summary>
    public long Tokens { get; private set; }

    /// <summary>How many sequences of a client wait, in all priorities.</summary>
    public int CountOf(string client) => _ofClient.GetValueOrDefault(client);

    /// <summary>Takes in a new sequence. It counts for its client until <see cref="Leave"/>, whether it waits or runs.</summary>
    public void Enter(SequenceRun run)
    {
        if (!_classes.TryGetValue(run.Priority, out var its)) _classes.Add(run.Priority, its = new PriorityClass());
        run.Share = its.Join(run.Client);
        Add(run);
    }

    /// <summary>A sequence that ran waits again, at the place it came in.</summary>
    public void Add(SequenceRun run)
    {
        run.Share.Add(run);
        _ofClient[run.Client] = CountOf(run.Client) + 1;
        Count++;
        Tokens += run.Tokens.Count;
    }

    /// <summary>A sequence waits no longer.</summary>
    public bool Remove(SequenceRun run)
    {
        if (!run.Share.Remove(run)) return false;
        if (--_ofClient[run.Client] is var left && left == 0) _ofClient.Remove(run.Client);
        Count--;
        Tokens -= run.Tokens.Count;
        return true;
    }

    /// <summary>A sequence has ended.</summary>
    public void Leave(SequenceRun run)
    {
        var its = _classes[run.Priority];
        its.Leave(run.Share);
        if (its.IsEmpty) _classes.Remove(run.Priority);
    }

    /// <summary>The sequence that comes next. Only those that are first in their client's line and meet the condition are considered.</summary>
    public SequenceRun? First(Func<SequenceRun, bool> condition)
    {
        foreach (var its in _classes.Values)
            if (its.First(condition) is { } first) return first;
        return null;
    }
}
