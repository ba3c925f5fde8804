using System.Buffers;
using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Quantization;

/// <summary>
/// A model quantised while it is read: rows are encoded when they are asked for, so that neither a second file nor a second copy in
/// memory is needed. Types are as <see cref="QuantizationRules"/> says.
/// </summary>
public sealed class QuantizedWeights : IModelWeights
{
    /// <summary>The largest number that F16 holds: scales are stored as such.</summary>
    const float MaxMagnitude = 65_504;

    readonly IModelWeights _source;
    readonly Dictionary<string, TensorInfo> _byName;

    /// <param name="source">Is disposed with this.</param>
    /// <param name="target">One of <see cref="QuantizationRules.Targets"/>.</param>
    /// <exception cref="ModelFormatException">A matrix cannot be stored so.</exception>
    public QuantizedWeights(IModelWeights source, TensorType target)
    {
        if (!QuantizationRules.Targets.Contains(target)) throw new ArgumentOutOfRangeException(nameof(target), target, "not a type to quantise to");
        _source = source;
        Tensors = [.. source.Tensors.Select(tensor => tensor with { Type = QuantizationRules.TypeOf(tensor, target, source.Config) })];
        _byName = Tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
    }

    public string Name => _source.Name;

    public LlamaConfig Config => _source.Config;

    public IReadOnlyList<TensorInfo> Tensors { get; }

    public TensorInfo? Find(string name) => _byName.GetValueOrDefault(name);

    /// <exception cref="ModelFormatException">The data cannot be read, or holds numbers that cannot be quantised.</exception>
    public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination)
    {
        tensor.CheckRows(firstRow, destination.Length);
        ReadPart(TensorPart.Rows(tensor, firstRow, destination.Length / tensor.RowBytes), destination);
    }

    /// <inheritdoc cref="ReadRows"/>
    public void ReadPart(TensorPart part, Span<byte> destination)
    {
        if (Find(part.Tensor.Name) != part.Tensor) throw new ArgumentException($"{part.Tensor} is not a tensor of {Name}", nameof(part));
        part.Check(destination.Length);
        var stored = part with { Tensor = _source.Find(part.Tensor.Name)! };
        if (stored.Tensor.Type == part.Tensor.Type) _source.ReadPart(stored, destination);
        else EncodeRows(stored, part.Tensor.Type, destination);
    }

    public string ComputeDigest(CancellationToken cancellation = default) => ModelDigest.Compute(this, cancellation);

    public void Dispose() => _source.Dispose();

    void EncodeRows(TensorPart stored, TensorType type, Span<byte> destination)
    {
        var bytes = ArrayPool<byte>.Shared.Rent((int)stored.RowBytes);
        var floats = ArrayPool<float>.Shared.Rent((int)stored.ColumnCount);
        var row = bytes.AsSpan(0, (int)stored.RowBytes);
        var values = floats.AsSpan(0, (int)stored.ColumnCount);
        var encodedBytes = (int)type.RowBytes(stored.ColumnCount);
        for (var r = 0L; r < stored.RowCount; r++, destination = destination[encodedBytes..])
        {
            _source.ReadPart(stored.Piece(r, 1), row);
            RowDecoder.Decode(stored.Tensor.Type, row, values);
            RefuseUnstorable(values, stored.Tensor, stored.FirstRow + r);
            RowEncoder.Encode(type, values, destination[..encodedBytes]);
        }
        ArrayPool<byte>.Shared.Return(bytes);
        ArrayPool<float>.Shared.Return(floats);
    }

    void RefuseUnstorable(ReadOnlySpan<float> values, TensorInfo tensor, long row)
    {
        foreach (var value in values)
            if (!(Math.Abs(value) <= MaxMagnitude)) throw new ModelFormatException($"{Name}: tensor {tensor.Name}, row {row} holds {value}, which cannot be quantised");
    }
}
