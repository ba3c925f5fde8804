namespace LlamaCluster.Coordinator.Membership;

/// <summary>Which model the cluster serves.</summary>
/// <param name="Digest">See <see cref="Cluster.Plans.ModelDigest"/>.</param>
public sealed record ModelIdentity(string Name, string Digest);
