using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Planning;

/// <summary>A stage of a plan as a value: which layers, on which workers.</summary>
/// <param name="Workers">Indices into the cluster's workers, in rank order.</param>
/// <param name="Shares">One for each of them.</param>
public sealed record PlannedStage(LayerRange Layers, IReadOnlyList<int> Workers, RankShares Shares);
