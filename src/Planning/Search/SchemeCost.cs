using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Planning.Search;

/// <summary>A scheme with its layers divided in the best way, and what that costs.</summary>
/// <param name="Picoseconds">Per token: of one stream, or of all together; see <see cref="PlanObjective"/>.</param>
sealed record SchemeCost(PlanScheme Scheme, IReadOnlyList<StageGroup> Groups, int[] Counts, long Picoseconds);
