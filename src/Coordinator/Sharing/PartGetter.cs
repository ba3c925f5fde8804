using LlamaCluster.Model.Formats;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Coordinator.Sharing;

/// <summary>A worker that gets parts. The directory keeps what it was told.</summary>
sealed class PartGetter(PartHolder self, IReadOnlyList<TensorPart> wanted)
{
    /// <summary>What others know it as.</summary>
    public PartHolder Self => self;

    public IReadOnlyList<TensorPart> Wanted => wanted;

    /// <summary>All that it wanted has come.</summary>
    public bool HasAll => Open.Count == 0 && HandedOut.Count == 0;

    /// <summary>It has nothing to fetch, although it wants more.</summary>
    public bool IsWaiting => Open.Count > 0 && HandedOut.Count == 0;

    /// <summary>Indexes of what it has not been told where to fetch.</summary>
    internal IndexSet Open { get; } = new(wanted.Count);

    /// <summary>Of these, what nobody has who could give it, and nobody has claimed; those that have all of the model aside.</summary>
    internal IndexSet Free { get; } = new(wanted.Count);

    /// <summary>Of these, what each worker has.</summary>
    internal Dictionary<PartHolder, IndexSet> From { get; } = [];

    /// <summary>The open parts, by their indexes.</summary>
    internal OpenPart?[] Parts { get; } = new OpenPart?[wanted.Count];

    /// <summary>What it was told to fetch and does not have yet, and where. Null: from the coordinator.</summary>
    internal Dictionary<int, PartHolder?> HandedOut { get; } = [];

    /// <summary>Workers that were of no use to it.</summary>
    internal HashSet<PartHolder> Avoided { get; } = [];

    /// <summary>Of what it was told to fetch, parts from peers.</summary>
    internal int Got { get; set; }

    /// <summary>The same, bytes from the coordinator.</summary>
    internal long ClaimedBytes { get; set; }

    internal IndexSet FromOf(PartHolder holder)
    {
        if (!From.TryGetValue(holder, out var parts)) From.Add(holder, parts = new IndexSet(wanted.Count));
        return parts;
    }
}

/// <summary>Who has, has claimed and wants parts of a tensor.</summary>
sealed class SharedTensor
{
    public List<(PartHolder Holder, TensorPart Part)> Held { get; } = [];

    public List<(PartGetter Getter, TensorPart Part)> Claims { get; } = [];

    public List<OpenPart> Open { get; } = [];
}

/// <summary>A part that a worker wants and has not been told where to fetch.</summary>
sealed class OpenPart(PartGetter getter, int index, SharedTensor tensor)
{
    public PartGetter Getter => getter;

    public int Index => index;

    public SharedTensor Tensor => tensor;

    public TensorPart Part { get; } = getter.Wanted[index];

    /// <summary>How many others could give it, those that have all of the model aside.</summary>
    public int Holders { get; set; }

    /// <summary>How many others have claimed it and can be expected to get it.</summary>
    public int Claims { get; set; }
}

/// <summary>A worker that has parts, or may come to have some.</summary>
sealed class PartHolder(WorkerId worker)
{
    public WorkerId Worker => worker;

    /// <summary>Whether it can be expected to give what it has, and to get what it has claimed.</summary>
    public bool IsWell { get; set; }

    /// <summary>Parts that it was said to give and that have not come yet.</summary>
    public int Given { get; set; }

    public bool CanGive(PartGetter getter) => this != getter.Self && IsWell && !getter.Avoided.Contains(this);
}
