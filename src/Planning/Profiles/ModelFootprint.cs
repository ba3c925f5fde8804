using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;

namespace LlamaCluster.Planning.Profiles;

/// <summary>Weights of one tensor type, summed over matrices.</summary>
/// <param name="Type">GGUF's name, e.g. "Q4_0".</param>
/// <param name="Elements">Each takes one multiply-add for each row of activations.</param>
/// <param name="Bytes">Stored bytes.</param>
public readonly record struct TypedWeights(string Type, double Elements, double Bytes)
{
    /// <summary>A rank's part.</summary>
    public TypedWeights Share(double fraction) => new(Type, Elements * fraction, Bytes * fraction);
}

/// <summary>The weights of one layer. Attention is split by KV-head groups and the feed-forward by columns, so a rank's shares of them differ.</summary>
/// <param name="FeedForward">A dense layer's.</param>
/// <param name="NormBytes">Every rank holds all norms, and the router of experts.</param>
public sealed record LayerFootprint(IReadOnlyList<TypedWeights> Attention, IReadOnlyList<TypedWeights> FeedForward, long NormBytes)
{
    /// <summary>Null: the model's sizes are the layer's.</summary>
    public SplitSizes? Split { get; init; }

    /// <summary>Null: the layer is dense.</summary>
    public ExpertFootprint? Experts { get; init; }

    /// <summary>Positions that attention sees at most; null: all.</summary>
    public int? Window { get; init; }

    /// <summary>What a worker holds beside the layer for adapters, and keeps free for them; tokens without an adapter read nothing of it.</summary>
    public long AdapterBytes { get; init; }

    /// <summary>How often ranks add up their parts of it: after attention, or what is in its place, and after the feed-forward.</summary>
    public int SumCount => (Attention.Count > 0 ? 1 : 0) + (FeedForward.Count > 0 || Experts is not null ? 1 : 0);

    public double AttentionBytes { get; } = Attention.Sum(weights => weights.Bytes);

    public double FeedForwardBytes { get; } = FeedForward.Sum(weights => weights.Bytes);

    public double Bytes => AttentionBytes + FeedForwardBytes + NormBytes + AdapterBytes + (Experts?.Bytes ?? 0);

    /// <summary>Bytes that one row of activations meets: of experts, those that it uses.</summary>
    public double ActiveBytes => AttentionBytes + FeedForwardBytes + NormBytes + (Experts?.ActiveBytes ?? 0);

    /// <summary>Whether both layers have the same types and sizes.</summary>
    public bool IsLike(LayerFootprint other) =>
        NormBytes == other.NormBytes && AdapterBytes == other.AdapterBytes
        && Attention.SequenceEqual(other.Attention) && FeedForward.SequenceEqual(other.FeedForward)
        && Window == other.Window && Split == other.Split
        && (Experts is { } experts ? other.Experts is { } others && experts.IsLike(others) : other.Experts is null);
}

/// <summary>The experts of one layer.</summary>
/// <param name="All">All experts together.</param>
/// <param name="Shared">The expert that every row uses; empty if there is none.</param>
/// <param name="UsedCount">Experts that a row chooses.</param>
public sealed record ExpertFootprint(IReadOnlyList<TypedWeights> All, IReadOnlyList<TypedWeights> Shared, int Count, int UsedCount)
{
    public double Bytes => AllBytes + SharedBytes;

    /// <summary>Without the one that every row uses.</summary>
    public double AllBytes => All.Sum(weights => weights.Bytes);

    public double SharedBytes => Shared.Sum(weights => weights.Bytes);

    /// <summary>Bytes that one row meets.</summary>
    public double ActiveBytes => AllBytes * UsedCount / Count + SharedBytes;

    /// <summary>The share of all experts that some of so many rows use.</summary>
    public double ShareUsedBy(int rows) => ExpertUse.ShareUsed(Count, UsedCount, rows);

    /// <summary>Rows that each expert has that is used at all.</summary>
    public double RowsOfEach(int rows) => ExpertUse.RowsOfEach(Count, UsedCount, rows);

    public bool IsLike(ExpertFootprint other) =>
        (Count, UsedCount) == (other.Count, other.UsedCount) && All.SequenceEqual(other.All) && Shared.SequenceEqual(other.Shared);
}

/// <summary>A model's sizes and the weight of its parts: everything that planning needs to know about a model.</summary>
/// <param name="Split">The sizes that a tensor group divides; of layers that differ, the greatest.</param>
/// <param name="Embedding">On the first stage. A step reads only the rows of its tokens.</param>
/// <param name="Head">On the last stage: the output matrix, or the embedding again if tied.</param>
/// <param name="KvBlockBytes">Bytes of one KV block (16 positions) in a layer of as many KV heads as any, all of them.</param>
public sealed record ModelFootprint(
    string Name, SplitSizes Split, IReadOnlyList<LayerFootprint> Layers, TypedWeights Embedding, TypedWeights Head, long KvBlockBytes)
{
    /// <summary>D.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>The longest sequence the model was made for, in tokens.</summary>
    public required int ContextLength { get; init; }

    /// <summary>The head is the embedding matrix.</summary>
    public required bool TiedEmbeddings { get; init; }

    /// <summary>A worker holds the weights of one layer only, however many layers it runs; of one dense layer and one with experts if it runs both.</summary>
    public bool LayersAreAlike { get; init; }

    public int LayerCount => Layers.Count;

    /// <summary>For each layer, the index of the first layer with the same types and sizes.</summary>
    public IReadOnlyList<int> LayerKinds { get; } = KindsOf(Layers);

    /// <summary>The different sizes that layers have; if they are all the same, one.</summary>
    public IReadOnlyList<SplitSizes> Splits { get; } = [.. Layers.Select(layer => layer.Split ?? Split).Distinct()];

    /// <summary>Bytes of one KV block in all layers.</summary>
    public double KvBlockBytesOfAll => Layers.Sum(KvBlockBytesOf);

    /// <summary>Bytes of one KV block in a layer; 0 where it has no attention.</summary>
    public double KvBlockBytesOf(LayerFootprint layer) =>
        layer.Split is { } split ? (double)KvBlockBytes * split.KvHeadCount / Split.KvHeadCount : KvBlockBytes;

    public double Bytes => Layers.Sum(layer => layer.Bytes) + Embedding.Bytes + (TiedEmbeddings ? 0 : Head.Bytes);

    /// <summary>Bytes that are read for a token of one stream: without the embedding, and of experts those that the token uses.</summary>
    public double ActiveBytes => Layers.Sum(layer => layer.ActiveBytes) + Head.Bytes;

    /// <summary>Whether tokens do not use all of the weights.</summary>
    public bool HasExperts => Layers.Any(layer => layer.Experts is not null);

    static int[] KindsOf(IReadOnlyList<LayerFootprint> layers)
    {
        List<int> firsts = [];
        return [.. layers.Select((layer, index) =>
        {
            var known = firsts.FindIndex(first => layers[first].IsLike(layer));
            if (known < 0) firsts.Add(index);
            return known < 0 ? index : firsts[known];
        })];
    }
}
