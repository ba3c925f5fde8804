using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>
/// Finds the tensors that a matrix of few bits consists of: <c>MODULE.weight</c> or <c>.weight_packed</c>, its scales, zero points, and the order of its
/// columns. They may stand in files of their own. A module's biases, and modules that were left as they were, are tensors like any other.
/// </summary>
/// <param name="files">The file of each tensor.</param>
sealed class ScaledTensors(HuggingFaceQuantization settings, IReadOnlyDictionary<string, SafetensorsFile> files, LlamaConfig config)
{
    const string Weight = ".weight";
    const string Packed = ".weight_packed";
    const string ZeroPoints = ".weight_zero_point";
    const string Order = ".weight_g_idx";

    /// <summary>Both are factors of the weights, whatever the name says.</summary>
    static readonly string[] Scales = [".weight_scale", ".weight_scale_inv"];

    /// <summary>Parts of a matrix. What is packed has its shape beside it, which the config says too.</summary>
    static readonly string[] Parts = [.. Scales, ZeroPoints, Order, ".weight_shape"];

    /// <summary>How activations and KV were to be rounded. Here they are not.</summary>
    static readonly string[] Unused =
    [
        ".input_scale", ".input_scale_ub", ".activation_scale", ".output_scale", ".input_zero_point", ".output_zero_point",
        ".q_scale", ".k_scale", ".v_scale", ".kv_scale",
    ];

    readonly Dictionary<string, TensorShape> _shapes = LlamaTensors.Of(config).ToDictionary(shape => shape.Name, StringComparer.Ordinal);

    /// <summary>Whether a tensor is a part of a matrix, or of none that is needed. A part of nothing is not.</summary>
    public bool IsPart(string name) =>
        Unused.Any(end => name.EndsWith(end, StringComparison.Ordinal))
        || Parts.FirstOrDefault(end => name.EndsWith(end, StringComparison.Ordinal)) is { } end
            && (files.ContainsKey(name[..^end.Length] + Weight) || files.ContainsKey(name[..^end.Length] + Packed));

    /// <summary>The matrix whose numbers are in a tensor. Null: it holds floats.</summary>
    /// <exception cref="ModelFormatException">It is stored in a way that the config does not say, or that is not supported.</exception>
    public StoredTensor? Find(string name, HuggingFaceNames names)
    {
        var isPacked = name.EndsWith(Packed, StringComparison.Ordinal);
        if (!isPacked && !name.EndsWith(Weight, StringComparison.Ordinal)) return null;
        var module = name[..^(isPacked ? Packed : Weight).Length];
        var values = files[name].Describe(name);
        if (!isPacked && values.Dtype is "F32" or "F16" or "BF16")
            return Parts.FirstOrDefault(end => files.ContainsKey(module + end)) is { } part
                ? throw files[name].Error(
                    $"tensor {ErrorText.Quote(name)} is {values.Dtype} and has a {part[1..]}, which is not supported: only numbers of few bits have one")
                : null;
        var ggufName = names.ToGguf(module + Weight);
        if (!_shapes.TryGetValue(ggufName, out var shape)) throw files[name].Error(LlamaTensorRules.Unknown(name));
        return Find(module, files[name], name, values, shape);
    }

    StoredTensor Find(string module, SafetensorsFile file, string name, SafetensorsEntry values, TensorShape shape)
    {
        var (scaleName, scales) = ScalesOf(module, file, name);
        var zeros = DescribePart(module + ZeroPoints);
        var order = DescribePart(module + Order);
        foreach (var scheme in settings.Schemes)
        {
            if (NumberOf(values, scheme, shape) is not { } number) continue;
            var (rows, columns) = (scheme.RowCount ?? shape.Rows, scheme.ColumnCount ?? shape.Columns);
            var (down, across) = (Ceiling(shape.Rows, rows), Ceiling(shape.Columns, columns));
            // Groups are of whole columns; of a matrix that is narrower than one there is one.
            if (rows == 1 && shape.Columns > columns && shape.Columns % columns != 0) continue;
            if (!Is(scales, down, across) || scheme.HasZeroPoints != zeros is not null || scheme.IsOrdered != order is not null) continue;
            if (zeros is not null && !AreZeroPoints(zeros, number, scheme, shape.Rows, across)) continue;
            if (order is not null && (scheme.RowCount != 1 || order.Dtype != "I32" || !Is(order, shape.Columns, 1))) continue;
            var matrix = new ScaledMatrix(
                number, values.Place, shape.Columns, new StoredScales(scales.Place, files[scaleName].TypeOf(scaleName), rows, columns))
            {
                ZeroPoints = zeros?.Place,
                ColumnScales = order?.Place,
                Description = scheme.ToString(),
            };
            var info = new TensorInfo(shape.Name, TensorType.F32, shape.Rows, shape.Columns);
            return new StoredTensor(info, values.Place.File, values.Place.Offset) { Scaled = matrix };
        }
        var parts = $"its scales {scales}{(zeros is null ? "" : $", its zero points {zeros}")}{(order is null ? "" : $", its weight_g_idx {order}")}";
        var schemes = settings.Schemes.Count == 0 ? "nothing" : string.Join("; ", settings.Schemes.Distinct().Take(4));
        throw file.Error(
            $"tensor {ErrorText.Quote(name)} is {values}, {parts}; a matrix [{shape.Rows}, {shape.Columns}] is not stored so by what config.json says "
            + $"of its weights ({schemes})");
    }

    /// <summary>One for each scale of each row, packed from row to row.</summary>
    static bool AreZeroPoints(SafetensorsEntry zeros, ScaledNumber number, WeightScheme scheme, long rows, long perRow) =>
        scheme.RowCount == 1 && number is ScaledNumber.Offset4 or ScaledNumber.Offset8
        && zeros.Dtype == "I32" && Is(zeros, Ceiling(rows * scheme.Bits, 32), perRow);

    /// <summary>What the tensor holds if it is of this scheme; null if it is not.</summary>
    static ScaledNumber? NumberOf(SafetensorsEntry values, WeightScheme scheme, TensorShape shape) => (values.Dtype, scheme.IsFloat, scheme.Bits) switch
    {
        ("F8_E4M3", true, 8) when Is(values, shape.Rows, shape.Columns) => ScaledNumber.Float8,
        ("I8", false, 8) when Is(values, shape.Rows, shape.Columns) => ScaledNumber.Int8,
        ("I32", false, 8) when Is(values, shape.Rows, Ceiling(shape.Columns, 4)) => ScaledNumber.Offset8,
        ("I32", false, 4) when Is(values, shape.Rows, Ceiling(shape.Columns, 8)) => ScaledNumber.Offset4,
        _ => null,
    };

    (string Name, SafetensorsEntry Scales) ScalesOf(string module, SafetensorsFile file, string name)
    {
        var there = Scales.Select(end => module + end).Where(files.ContainsKey).ToList();
        return there is [var only]
            ? (only, files[only].Describe(only))
            : throw file.Error(
                $"tensor {ErrorText.Quote(name)} has "
                + $"{(there.Count == 0 ? "no weight_scale" : "both a weight_scale and a weight_scale_inv")}, and cannot be read");
    }

    SafetensorsEntry? DescribePart(string name) => files.TryGetValue(name, out var file) ? file.Describe(name) : null;

    /// <summary>A single number may have no dimension, a column one.</summary>
    static bool Is(SafetensorsEntry tensor, long rows, long columns) => tensor.Shape switch
    {
        [] => rows == 1 && columns == 1,
        [var length] => length == rows && columns == 1,
        [var first, var second] => first == rows && second == columns,
        _ => false,
    };

    static long Ceiling(long count, long divisor) => (count + divisor - 1) / divisor;
}
