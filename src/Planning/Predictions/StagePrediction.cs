using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Planning.Predictions;

/// <summary>What a stage does for a token of one stream, and what its ranks hold.</summary>
/// <param name="OneToken">Of the slowest rank.</param>
/// <param name="Memory">In rank order.</param>
public sealed record StagePrediction(TimeParts OneToken, IReadOnlyList<RankMemory> Memory);
