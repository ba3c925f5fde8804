using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;

namespace LlamaCluster.Worker.Sources;

/// <summary>A model whose files are elsewhere, as the Weights service describes it.</summary>
/// <param name="Config">Complete unless <paramref name="RopeFactors"/> is set.</param>
/// <param name="Tensors">Exactly those of a Llama of this config, in the order of the forward pass.</param>
/// <param name="RopeFactors">The tensor whose data the config still lacks; null as a rule.</param>
sealed record DescribedModel(string Name, LlamaConfig Config, IReadOnlyList<TensorInfo> Tensors, TensorInfo? RopeFactors);
