using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;

namespace LlamaCluster.Model.Tests.Formats;

/// <summary>Counts the bytes that are read of a model.</summary>
sealed class CountingWeights(IModelWeights inner) : IModelWeights
{
    public long BytesRead { get; private set; }

    public string Name => inner.Name;

    public LlamaConfig Config => inner.Config;

    public IReadOnlyList<TensorInfo> Tensors => inner.Tensors;

    public TensorInfo? Find(string name) => inner.Find(name);

    public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination)
    {
        BytesRead += destination.Length;
        inner.ReadRows(tensor, firstRow, destination);
    }

    public string ComputeDigest(CancellationToken cancellation = default) => ModelDigest.Compute(this, cancellation);

    public void Dispose() => inner.Dispose();
}
