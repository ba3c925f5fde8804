namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// The clients of one priority. Each is served in turn so that all get the same number of positions computed while they have something
/// to compute (the virtual token counter of https://arxiv.org/abs/2401.00588): the client that was served least comes next. Who has
/// been away starts with as much as the least served of those present, since having asked for nothing is no claim.
/// </summary>
sealed class PriorityClass
{
    readonly Dictionary<string, ClientShare> _clients = [];

    /// <summary>None of its clients has a sequence.</summary>
    public bool IsEmpty => _clients.Values.All(share => share.Open == 0);

    public ClientShare Join(string client)
    {
        var least = _clients.Values.Where(share => share.Open > 0).Select(share => share.Served).DefaultIfEmpty().Min();
        // Who is away and has had no more than that is as good as new: so the table does not grow with clients long gone.
        foreach (var (name, share) in _clients)
            if (share.Open == 0 && share.Served <= least) _clients.Remove(name);
        if (!_clients.TryGetValue(client, out var own)) _clients.Add(client, own = new ClientShare { Served = least });
        own.Open++;
        return own;
    }

    /// <summary>The sequence that comes next, among those first in their clients' lines.</summary>
    public Sequence? First(Func<Sequence, bool> condition)
    {
        ClientShare? least = null;
        foreach (var share in _clients.Values)
            if (share.Waiting.Min is { } first && (least is null || Order(share, least) < 0) && condition(first)) least = share;
        return least?.Waiting.Min;
    }

    static int Order(ClientShare one, ClientShare other)
        => one.Served != other.Served ? one.Served.CompareTo(other.Served) : one.Waiting.Min!.Id.CompareTo(other.Waiting.Min!.Id);
}
