using System.Collections;

namespace LlamaCluster.Model.Config;

/// <summary>
/// Sizes of one layer of a model whose layers differ, as a search over architectures leaves them (https://arxiv.org/abs/2411.19146, Nemotron).
/// </summary>
/// <param name="HeadCount">H; 0: the layer has nothing in attention's place.</param>
/// <param name="KvHeadCount">G, of which H is a multiple; 0: where there are heads, one matrix [D, D] is in attention's place, and keeps no KV.</param>
/// <param name="FfnSize">F; 0: the layer has no feed-forward.</param>
public readonly record struct LayerSizes(int HeadCount, int KvHeadCount, int FfnSize)
{
    public bool HasAttention => KvHeadCount > 0;

    /// <summary>A matrix is in attention's place: x + O norm(x).</summary>
    public bool IsLinear => HeadCount > 0 && KvHeadCount == 0;

    public bool HasFeedForward => FfnSize > 0;

    /// <summary>Query heads that share a KV head; 0 without attention.</summary>
    public int Group => HasAttention ? HeadCount / KvHeadCount : 0;

    internal string? Problem =>
        HeadCount < 0 || KvHeadCount < 0 || FfnSize < 0 ? $"{this} are negative"
        : KvHeadCount > 0 && (HeadCount == 0 || HeadCount % KvHeadCount != 0) ? $"head count {HeadCount} is not a multiple of KV head count {KvHeadCount}"
        : null;

    public override string ToString() => $"{HeadCount} heads, {KvHeadCount} KV heads and feed-forward {FfnSize}";
}

/// <summary>[L] sizes of layers that differ. Immutable, and equal by content.</summary>
public sealed class SizesOfLayers(IEnumerable<LayerSizes> layers) : IReadOnlyList<LayerSizes>, IEquatable<SizesOfLayers>
{
    readonly LayerSizes[] _layers = [.. layers];

    public int Count => _layers.Length;

    public LayerSizes this[int layer] => _layers[layer];

    /// <summary>Of each size the greatest; with no layer, zeros.</summary>
    public LayerSizes Greatest => _layers.Aggregate(
        default(LayerSizes),
        (most, layer) => new(Math.Max(most.HeadCount, layer.HeadCount), Math.Max(most.KvHeadCount, layer.KvHeadCount), Math.Max(most.FfnSize, layer.FfnSize)));

    /// <summary>Null if all layers have the same sizes.</summary>
    public SizesOfLayers? UnlessAlike() => _layers.Distinct().Count() > 1 ? this : null;

    public bool Equals(SizesOfLayers? other) => other is not null && _layers.AsSpan().SequenceEqual(other._layers);

    public override bool Equals(object? obj) => Equals(obj as SizesOfLayers);

    public override int GetHashCode() => HashCode.Combine(Count, Greatest);

    public IEnumerator<LayerSizes> GetEnumerator() => ((IEnumerable<LayerSizes>)_layers).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>
/// Layers in which a token goes through a few of many feed-forwards, which a router chooses (https://arxiv.org/abs/2401.04088). D hidden, N experts,
/// K of them used.
/// </summary>
public sealed record ExpertMixture
{
    /// <summary>N: experts of a layer.</summary>
    public required int Count { get; init; }

    /// <summary>K: experts that a token uses in each of these layers.</summary>
    public required int UsedCount { get; init; }

    /// <summary>F': width of an expert.</summary>
    public required int FfnSize { get; init; }

    /// <summary>Every so many layers one has experts, the last of them; the others are dense. 1: all have.</summary>
    public required int LayerStep { get; init; }

    public required ExpertGate Gate { get; init; }

    /// <summary>A further expert of the same width, which all tokens use.</summary>
    public required bool HasShared { get; init; }
}

/// <summary>What becomes of the router's numbers for the experts that a token uses.</summary>
public enum ExpertGate
{
    /// <summary>Mixtral's: their softmax are the weights of the experts' outputs.</summary>
    Softmax = 1,

    /// <summary>Llama 4's: the sigmoid of each is what its expert's input is multiplied by; outputs are added up as they are.</summary>
    Sigmoid = 2,
}

/// <summary>
/// Llama 4's attention: most layers see only the chunk of positions that they are in, and know positions by RoPE. Every few layers one sees all
/// positions and has no RoPE.
/// </summary>
/// <param name="ChunkSize">Positions of a chunk.</param>
/// <param name="FullLayerStep">Every so many layers one sees all positions, the last of them.</param>
public sealed record ChunkedAttention(int ChunkSize, int FullLayerStep)
{
    /// <summary>Llama 4's as llama.cpp has it for files, which say nothing of it.</summary>
    public static ChunkedAttention Llama4 { get; } = new(ChunkSize: 8192, FullLayerStep: 4);
}

/// <summary>
/// Queries that grow with the logarithm of their position, so that attention stays sharp among many positions (attention temperature,
/// https://arxiv.org/abs/2501.19399). In models with chunks they do in the layers that see all positions, in others in all layers.
/// </summary>
/// <param name="Growth">How much.</param>
/// <param name="Span">Positions after which they grow the first time.</param>
/// <param name="Offset">What is added to positions before.</param>
public sealed record QueryScale(float Growth, int Span, int Offset)
{
    /// <summary>Llama 4's as llama.cpp has it for files, which say nothing of it.</summary>
    public static QueryScale Llama4 { get; } = new(Growth: 0.1f, Span: 8192, Offset: 1);

    /// <summary>What the query at a position is multiplied by: 1 + growth * ln(1 + floor((position + offset) / span)).</summary>
    public float At(int position) => (float)((Math.Log(((position + (long)Offset) / Span) + 1) * Growth) + 1);
}
