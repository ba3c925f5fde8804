using System.Runtime.InteropServices;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Inference;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Conversion;

/// <summary>
/// A model whose config has Llama 3's RoPE scaling, in the form that GGUF has for it: a tensor of divisors, one for each rotated pair.
/// </summary>
sealed class StoredDivisors : IModelWeights
{
    readonly IModelWeights _source;
    readonly float[] _divisors;
    readonly TensorInfo _tensor;

    /// <param name="source">Is disposed with this.</param>
    StoredDivisors(IModelWeights source, RopeScaling.Llama3 scaling)
    {
        _source = source;
        _divisors = RopeFrequencies.Llama3Divisors(source.Config, scaling);
        _tensor = new TensorInfo(LlamaTensors.RopeFactors, TensorType.F32, 1, _divisors.Length);
        Config = source.Config with { RopeScaling = new RopeScaling.Factors(_divisors) };
        Tensors = [_tensor, .. source.Tensors];
    }

    public string Name => _source.Name;

    public LlamaConfig Config { get; }

    public IReadOnlyList<TensorInfo> Tensors { get; }

    /// <summary>The same model if its scaling has another form already.</summary>
    public static IModelWeights Of(IModelWeights source) =>
        source.Config.RopeScaling is RopeScaling.Llama3 scaling ? new StoredDivisors(source, scaling) : source;

    public TensorInfo? Find(string name) => name == _tensor.Name ? _tensor : _source.Find(name);

    public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination)
    {
        if (tensor != _tensor)
        {
            _source.ReadRows(tensor, firstRow, destination);
            return;
        }
        tensor.CheckRows(firstRow, destination.Length);
        MemoryMarshal.AsBytes(_divisors.AsSpan())[..destination.Length].CopyTo(destination);
    }

    public bool TryReadAs(TensorType type, TensorPart part, Span<byte> destination) => part.Tensor != _tensor && _source.TryReadAs(type, part, destination);

    public string ComputeDigest(CancellationToken cancellation = default) => ModelDigest.Compute(this, cancellation);

    public void Dispose() => _source.Dispose();
}
