namespace LlamaCluster.Planning.Plans;

/// <summary>One worker's part in a plan.</summary>
/// <param name="Address">Where other workers reach it: http or https, host and port.</param>
public sealed record ShardAssignment(WorkerId Worker, Uri Address, int Stage, Shard Shard);
