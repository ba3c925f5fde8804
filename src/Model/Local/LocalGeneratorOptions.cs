using LlamaCluster.Kernels.Attention;

namespace LlamaCluster.Model.Local;

/// <summary>How a model runs in this process alone.</summary>
public sealed record LocalGeneratorOptions
{
    /// <summary>Threads that compute.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>Parts that the layers are divided into, run one after the other. The result is the same for any number.</summary>
    public int Stages { get; init; } = 1;

    /// <summary>The stages in full, where they are to be other than <see cref="Stages"/> of even length, or split over ranks.</summary>
    public IReadOnlyList<LocalStagePlan>? Plan { get; init; }

    /// <summary>Positions that a sequence may have; null: the model's context.</summary>
    public int? ContextLength { get; init; }

    public KvType KvType { get; init; } = KvType.F16;

    /// <summary>Tokens of a prompt that are computed at a time.</summary>
    public int MaxStepRows { get; init; } = 256;
}
