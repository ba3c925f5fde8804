namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// The clients of one priority. The client that was served least comes next, so that all get the same number of positions computed while they
/// have something to compute (the virtual token counter of https://arxiv.org/abs/2401.00588). A client that comes back starts with as much as
/// the least served of those present: not having asked for anything earns no claim.
/// </summary>
sealed class PriorityClass
{
    readonly Dictionary<string, ClientShare> _clients = [];

    /// <summary>None of its clients has a sequence.</summary>
    public bool IsEmpty => _clients.Values.All(share => share.Open == 0);

    public ClientShare Join(string client)
    {
        var least = _clients.Values.Where(share => share.Open > 0).Select(share => share.Served).DefaultIfEmpty().Min();
        // An absent client that was served no more than the least is the same as a new one. Forgetting it keeps the table small.
        foreach (var (name, share) in _clients)
            if (share.Open == 0 && share.Served <= least) _clients.Remove(name);
        if (!_clients.TryGetValue(client, out var own)) _clients.Add(client, own = new ClientShare { Served = least });
        own.Open++;
        return own;
    }

    /// <summary>The sequence that comes next, among those first in their clients' lines.</summary>
    public SequenceRun? First(Func<SequenceRun, bool> condition)
    {
        ClientShare? least = null;
        foreach (var share in _clients.Values)
            if (share.Waiting.Min is { } first && (least is null || Order(share, least) < 0) && condition(first)) least = share;
        return least?.Waiting.Min;
    }

    static int Order(ClientShare one, ClientShare other)
        => one.Served != other.Served ? one.Served.CompareTo(other.Served) : one.Waiting.Min!.Id.CompareTo(other.Waiting.Min!.Id);
}

/// <summary>What a client of one priority has had, and what it waits for.</summary>
sealed class ClientShare
{
    static readonly IComparer<SequenceRun> ByArrival = Comparer<SequenceRun>.Create((one, other) => one.Id.CompareTo(other.Id));

    /// <summary>Token positions computed for it.</summary>
    public long Served { get; set; }

    /// <summary>Its sequences that wait or run.</summary>
    public int Open { get; set; }

    /// <summary>First come, first served.</summary>
    public SortedSet<SequenceRun> Waiting { get; } = new(ByArrival);
}
