using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Primitives;

namespace LlamaCluster.Testing.Models;

/// <summary>A synthetic model in memory.</summary>
public sealed class SyntheticWeights : IModelWeights
{
    readonly Dictionary<string, byte[]> _stored = [];

    internal SyntheticWeights(SyntheticModel model)
    {
        Name = model.Name;
        Config = model.Config;
        foreach (var shape in LlamaTensors.Of(model.Config))
            _stored.Add(shape.Name, Encode(shape.Rows == 1 ? TensorType.F32 : model.Type, shape, model.Values(shape)));
        Tensors = [.. LlamaTensors.Of(model.Config).Select(s => new TensorInfo(s.Name, s.Rows == 1 ? TensorType.F32 : model.Type, s.Rows, s.Columns))];
    }

    public string Name { get; }

    public LlamaConfig Config { get; }

    public IReadOnlyList<TensorInfo> Tensors { get; }

    public TensorInfo? Find(string name) => Tensors.FirstOrDefault(tensor => tensor.Name == name);

    public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination)
    {
        tensor.CheckRows(firstRow, destination.Length);
        _stored[tensor.Name].AsSpan((int)(firstRow * tensor.RowBytes), destination.Length).CopyTo(destination);
    }

    public string ComputeDigest(CancellationToken cancellation = default) => ModelDigest.Compute(this, cancellation);

    public void Dispose() { }

    static byte[] Encode(TensorType type, TensorShape shape, float[] values)
    {
        var rowBytes = type.RowBytes(shape.Columns);
        var stored = new byte[shape.Rows * rowBytes];
        for (long row = 0; row < shape.Rows; row++)
        {
            RowEncoder.Encode(type, values.AsSpan((int)(row * shape.Columns), (int)shape.Columns), stored.AsSpan((int)(row * rowBytes), (int)rowBytes));
        }
        return stored;
    }
}
