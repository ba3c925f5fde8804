using LlamaCluster.Kernels.Attention;

namespace LlamaCluster.Model.Sequences;

/// <summary>What a stage may use. All memory that follows from it is allocated once, when the stage is made.</summary>
public sealed record StageOptions
{
    /// <summary>KV blocks of 16 positions, shared by all sequences; valid ids are 0 to this less one.</summary>
    public required int KvBlockCount { get; init; }

    public KvType KvType { get; init; } = KvType.F16;

    /// <summary>The most token positions that one step may bring.</summary>
    public required int MaxStepRows { get; init; }

    /// <summary>The most positions that one sequence may have.</summary>
    public required int MaxSequenceLength { get; init; }
}
