using LlamaCluster.Model.Formats;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>The model's files and what they were found to be.</summary>
/// <param name="Digest">See <see cref="IModelWeights.ComputeDigest"/>.</param>
public sealed record ServedWeights(IModelWeights Files, string Name, string Digest);
