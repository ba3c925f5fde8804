namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>What a client of one priority has had, and what it waits for.</summary>
sealed class ClientShare
{
    static readonly IComparer<Sequence> ByArrival = Comparer<Sequence>.Create((one, other) => one.Id.CompareTo(other.Id));

    /// <summary>Token positions computed for it.</summary>
    public long Served { get; set; }

    /// <summary>Its sequences that wait or run.</summary>
    public int Open { get; set; }

    /// <summary>First come, first served.</summary>
    public SortedSet<Sequence> Waiting { get; } = new(ByArrival);
}
