using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>What a pipeline is made of.</summary>
/// <param name="Workers">In stage order, then rank order, as in the plan.</param>
/// <param name="VocabularySize">V: sampled ids are below it.</param>
public sealed record PipelineOptions(ClusterPlan Plan, IReadOnlyList<StageWorker> Workers, int KvBlocks, int VocabularySize, ClusterDeadlines Deadlines);
