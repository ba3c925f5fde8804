namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// The clients of one priority. The client that was served least comes next, so that all get the same number of positions computed while they
/// have something to compute (the virtual token counter of https://arxiv.org/abs/2401.00588). A client that comes back starts with as much as
/// the least served of those present: not having asked for anything earns no claim.
/// <para>
/// Clients with a waiting sequence stand in line, those that come next first. A client that is served, or gets another first sequence, moves in the line
/// when it is next looked at: a step moves each client once, however many of its sequences are in it.
/// </para>
/// </summary>
sealed class PriorityClass
{
    readonly Dictionary<string, ClientShare> _clients = [];
    readonly SortedSet<ClientShare> _line = new(Comparer<ClientShare>.Create((one, other) => one.Place.CompareTo(other.Place)));
    readonly List<ClientShare> _moved = [];   // their places may not be right any more
    int _open;

    /// <summary>None of its clients has a sequence.</summary>
    public bool IsEmpty => _open == 0;

    public ClientShare Join(string client)
    {
        var least = _clients.Values.Where(share => share.Open > 0).Select(share => share.Served).DefaultIfEmpty().Min();
        // An absent client that was served no more than the least is the same as a new one. Forgetting it keeps the table small.
        foreach (var (name, share) in _clients)
            if (share.Open == 0 && share.Served <= least) _clients.Remove(name);
        if (!_clients.TryGetValue(client, out var own)) _clients.Add(client, own = new ClientShare(_moved.Add, least));
        own.Open++;
        _open++;
        return own;
    }

    /// <summary>One of a client's sequences has ended.</summary>
    public void Leave(ClientShare share)
    {
        share.Open--;
        _open--;
    }

    /// <summary>The sequence that comes next, among those first in their clients' lines.</summary>
    public SequenceRun? First(Func<SequenceRun, bool> condition)
    {
        foreach (var share in _moved)
        {
            if (share.StandsInLine) _line.Remove(share);
            share.Settle();
            if (share.StandsInLine) _line.Add(share);
        }
        _moved.Clear();
        foreach (var share in _line)
            if (share.First is { } first && condition(first)) return first;
        return null;
    }
}

/// <summary>What a client of one priority has had, and what it waits for.</summary>
/// <param name="moved">Called when its place in the line may be another one, once until it is settled.</param>
/// <param name="served">Token positions that count as computed for it when it comes.</param>
sealed class ClientShare(Action<ClientShare> moved, long served)
{
    static readonly IComparer<SequenceRun> ByArrival = Comparer<SequenceRun>.Create((one, other) => one.Id.CompareTo(other.Id));

    readonly SortedSet<SequenceRun> _waiting = new(ByArrival);   // first come, first served
    bool _hasMoved;

    /// <summary>Token positions computed for it.</summary>
    public long Served { get; private set; } = served;

    /// <summary>Its sequences that wait or run.</summary>
    public int Open { get; set; }

    /// <summary>The first of its sequences that wait.</summary>
    public SequenceRun? First => _waiting.Min;

    /// <summary>Where it stood in the line when it was last settled: the lower, the earlier.</summary>
    public (long Served, ulong First) Place { get; private set; }

    /// <summary>Whether it had a place then.</summary>
    public bool StandsInLine { get; private set; }

    public void Serve(int positions)
    {
        Served += positions;
        if (_waiting.Count > 0) Move();
    }

    public bool Add(SequenceRun run)
    {
        Move();
        return _waiting.Add(run);
    }

    public bool Remove(SequenceRun run)
    {
        if (!_waiting.Remove(run)) return false;
        Move();
        return true;
    }

    /// <summary>Takes the place that is right now.</summary>
    public void Settle()
    {
        _hasMoved = false;
        StandsInLine = First is not null;
        if (First is { } first) Place = (Served, first.Id);
    }

    void Move()
    {
        if (!_hasMoved) moved(this);
        _hasMoved = true;
    }
}
