namespace LlamaCluster.Model.Config;

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
