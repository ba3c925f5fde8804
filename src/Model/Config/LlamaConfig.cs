namespace LlamaCluster.Model.Config;

/// <summary>The facts of a Llama model that its shapes and its maths follow from. Immutable.</summary>
public sealed record LlamaConfig
{
    /// <summary>L: transformer layers.</summary>
    public required int LayerCount { get; init; }

    /// <summary>D: width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>F: width of the SwiGLU feed-forward.</summary>
    public required int FfnSize { get; init; }

    /// <summary>H: query heads.</summary>
    public required int HeadCount { get; init; }

    /// <summary>G: key/value heads; H is a multiple of it.</summary>
    public required int KvHeadCount { get; init; }

    /// <summary>E: dimension of one head. Usually D / H, but a model may state another.</summary>
    public required int HeadSize { get; init; }

    /// <summary>V: rows of the embedding and of the head.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The longest sequence the model was made for, in tokens.</summary>
    public required int ContextLength { get; init; }

    public required float RmsEpsilon { get; init; }

    public required float RopeTheta { get; init; }

    /// <summary>Leading dimensions of a head that are rotated; the rest pass unchanged. Usually E.</summary>
    public required int RopeDimensionCount { get; init; }

    public RopeScaling? RopeScaling { get; init; }

    /// <summary>The head is the embedding matrix.</summary>
    public required bool TiedEmbeddings { get; init; }
}
