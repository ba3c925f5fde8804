namespace LlamaCluster.Planning.Plans;

/// <summary>The sizes of a model that a tensor group divides.</summary>
public sealed record SplitSizes
{
    /// <summary>H, a multiple of G.</summary>
    public required int HeadCount { get; init; }

    /// <summary>G.</summary>
    public required int KvHeadCount { get; init; }

    /// <summary>F.</summary>
    public required int FfnSize { get; init; }

    /// <summary>V.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Columns of F that the layers' down matrices store together: 256, 32, or 1 for floats.</summary>
    public required int ColumnBlock { get; init; }
}
