using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Quantization;

/// <summary>
/// Which type each tensor gets when a model is quantised. Vectors and the routers of experts get F32. Other matrices get the type asked for, except that
/// the matrix that makes the logits (the head, or the embedding where it is the head too) gets at least Q6_K, whose error
/// reaches every token directly; and that a matrix whose rows are not whole blocks of 256 gets Q8_0 in place of a K type.
/// </summary>
public static class QuantizationRules
{
    /// <summary>What a model can be quantised to.</summary>
    public static IReadOnlyList<TensorType> Targets { get; } = [TensorType.Q8_0, TensorType.Q6_K, TensorType.Q4_K, TensorType.Q4_0];

    /// <summary>The targets as users write them: "q8_0, q6_k, ..."</summary>
    public static string TargetNames { get; } = string.Join(", ", Targets.Select(type => type.ToString().ToLowerInvariant()));

    /// <summary>The target of this name, in upper or lower case; null if there is none.</summary>
    public static TensorType? FindTarget(string name)
    {
        foreach (var type in Targets)
            if (type.ToString().Equals(name, StringComparison.OrdinalIgnoreCase)) return type;
        return null;
    }

    /// <exception cref="ModelFormatException">The tensor's rows fit no type.</exception>
    public static TensorType TypeOf(TensorInfo tensor, TensorType target, LlamaConfig config)
    {
        if (tensor.Rows == 1 || ExpertTensors.IsRouter(tensor.Name)) return TensorType.F32;
        var wanted = MakesLogits(tensor, config) && target is (TensorType.Q4_0 or TensorType.Q4_K) ? TensorType.Q6_K : target;
        if (tensor.Columns % wanted.BlockSize() != 0) wanted = TensorType.Q8_0;
        return LlamaTensorRules.RowProblem(tensor.Name, wanted, tensor.Columns) is { } problem ? throw new ModelFormatException(problem) : wanted;
    }

    static bool MakesLogits(TensorInfo tensor, LlamaConfig config) =>
        tensor.Name == (config.TiedEmbeddings ? LlamaTensors.Embedding : LlamaTensors.Output);
}

/// <summary>
/// Which types the tensors of a shape have, for planning models whose files are elsewhere: all matrices of one type, as
/// `bench --shape` has them, or llama.cpp's usual mixes q4_k_m and q5_k_m, where the matrices that matter most (the head, and attn_v
/// and ffn_down in part of the layers) have more bits (https://github.com/ggml-org/llama.cpp/blob/master/src/llama-quant.cpp).
/// </summary>
public static class TensorMix
{
    static readonly Dictionary<string, TensorType> Mixes = new(StringComparer.Ordinal) { ["q4_k_m"] = TensorType.Q4_K, ["q5_k_m"] = TensorType.Q5_K };

    /// <summary>What can be asked for.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. Mixes.Keys, .. Enum.GetNames<TensorType>().Select(name => name.ToLowerInvariant())];

    /// <param name="mix">One of <see cref="Names"/>, in any case.</param>
    /// <returns>Null if there is no such mix.</returns>
    /// <exception cref="ModelFormatException">A matrix of this shape cannot be of its type.</exception>
    public static IReadOnlyList<TensorInfo>? TensorsOf(LlamaConfig config, string mix)
    {
        var name = mix.ToLowerInvariant();
        if (Mixes.TryGetValue(name, out var usual)) return [.. LlamaTensors.Of(config).Select(shape => Describe(shape, TypeIn(shape, usual, config)))];
        return Names.Contains(name)
            ? [.. LlamaTensors.Of(config).Select(shape => Describe(shape, Enum.Parse<TensorType>(name, ignoreCase: true)))]
            : null;
    }

    static TensorInfo Describe(TensorShape shape, TensorType type)
    {
        if (shape.Rows == 1 || ExpertTensors.IsRouter(shape.Name)) return new TensorInfo(shape.Name, TensorType.F32, shape.Rows, shape.Columns);
        return LlamaTensorRules.RowProblem(shape.Name, type, shape.Columns) is { } problem
            ? throw new ModelFormatException(problem)
            : new TensorInfo(shape.Name, type, shape.Rows, shape.Columns);
    }

    static TensorType TypeIn(TensorShape shape, TensorType usual, LlamaConfig config)
    {
        if (shape.Name == (config.TiedEmbeddings ? LlamaTensors.Embedding : LlamaTensors.Output)) return TensorType.Q6_K;
        return shape.Name.Split('.', 3) is ["blk", var layer, var part]
            && (part == "attn_v.weight" || part.StartsWith(LlamaTensors.Down, StringComparison.Ordinal))
            && HasMoreBits(int.Parse(layer, CultureInfo.InvariantCulture), config.LayerCount)
                ? TensorType.Q6_K
                : usual;
    }

    /// <summary>The first and last eighth of the layers, and every third of the others.</summary>
    static bool HasMoreBits(int layer, int layers) =>
        layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

/// <summary>
/// A model quantised while it is read: rows are encoded when they are asked for, so that neither a second file nor a second copy in
/// memory is needed. Types are as <see cref="QuantizationRules"/> says. What files hold as the type's own integers keeps them.
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

    public string? FileOf(TensorInfo tensor) => _source.Find(tensor.Name) is { } stored ? _source.FileOf(stored) : null;

    public string? StoredAs(TensorInfo tensor) => _source.Find(tensor.Name) is { } stored ? _source.StoredAs(stored) : null;

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
        else if (!_source.TryReadAs(part.Tensor.Type, stored, destination)) EncodeRows(stored, part.Tensor.Type, destination);
    }

    public string ComputeDigest(CancellationToken cancellation = default) => ModelDigest.Compute(this, cancellation);

    public void Dispose() => _source.Dispose();

    void EncodeRows(TensorPart stored, TensorType type, Span<byte> destination)
    {
        var bytes = ArrayPool<byte>.Shared.Rent((int)stored.RowBytes);
        var floats = ArrayPool<float>.Shared.Rent((int)stored.ColumnCount);
        var values = floats.AsSpan(0, (int)stored.ColumnCount);
        var isDecoded = stored.Tensor.Type == TensorType.F32;
        var row = isDecoded ? MemoryMarshal.AsBytes(values) : bytes.AsSpan(0, (int)stored.RowBytes);
        var encodedBytes = (int)type.RowBytes(stored.ColumnCount);
        for (var r = 0L; r < stored.RowCount; r++, destination = destination[encodedBytes..])
        {
            _source.ReadPart(stored.Piece(r, 1), row);
            if (!isDecoded) RowDecoder.Decode(stored.Tensor.Type, row, values);
            RefuseUnstorable(values, stored.Tensor, stored.FirstRow + r);
            RowEncoder.Encode(type, values, destination[..encodedBytes]);
        }
        ArrayPool<byte>.Shared.Return(bytes);
        ArrayPool<float>.Shared.Return(floats);
    }

    void RefuseUnstorable(ReadOnlySpan<float> values, TensorInfo tensor, long row)
    {
        foreach (var value in values)
            if (!(Math.Abs(value) <= MaxMagnitude))
                throw new ModelFormatException($"{Name}: tensor {tensor.Name}, row {row} holds {value}, which cannot be quantised");
    }
}
