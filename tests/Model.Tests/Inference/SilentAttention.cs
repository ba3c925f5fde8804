using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>A model whose attention adds nothing: the matrices behind it are 0, so that ranks' parts of it are too.</summary>
sealed class SilentAttention(SyntheticWeights weights) : IModelWeights
{
    public string Name => weights.Name;

    public LlamaConfig Config => weights.Config;

    public IReadOnlyList<TensorInfo> Tensors => weights.Tensors;

    public TensorInfo? Find(string name) => weights.Find(name);

    public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination)
    {
        if (tensor.Name.Contains(LlamaTensors.AttentionOutput, StringComparison.Ordinal)) destination.Clear();
        else weights.ReadRows(tensor, firstRow, destination);
    }

    public string ComputeDigest(CancellationToken cancellation = default) => weights.ComputeDigest(cancellation);

    public void Dispose() => weights.Dispose();
}
