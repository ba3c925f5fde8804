using System.Globalization;
using System.Text.Json;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>How matrices are stored as numbers of few bits and scales.</summary>
/// <param name="Bits">Of a number.</param>
/// <param name="IsFloat">Numbers are float8_e4m3fn, else integers.</param>
/// <param name="RowCount">Rows that share a scale. Null: all.</param>
/// <param name="ColumnCount">Columns that share a scale. Null: all.</param>
/// <param name="HasZeroPoints">What stands for 0 is stored too.</param>
/// <param name="IsOrdered">Which columns share a scale is stored too; else consecutive ones do.</param>
sealed record WeightScheme(int Bits, bool IsFloat, long? RowCount, long? ColumnCount, bool HasZeroPoints = false, bool IsOrdered = false)
{
    public override string ToString() =>
        $"{(IsFloat ? "float8_e4m3fn" : $"int{Bits}")}{(HasZeroPoints ? " with zero points" : "")}, a scale for each "
        + (RowCount, ColumnCount) switch
        {
            (null, _) => "matrix",
            (1, null) => "row",
            (1, var group) => $"{group} columns{(IsOrdered ? " that weight_g_idx names" : "")} of a row",
            var (rows, group) => $"block of {rows} x {group}",
        };
}

/// <summary>
/// What config.json says of matrices of few bits: the methods <c>fp8</c> (DeepSeek's blocks, or a scale for each matrix), <c>fbgemm_fp8</c> (Meta's, a scale
/// for each row), <c>modelopt</c> (its FP8) and <c>compressed-tensors</c> (float8 and integers of 8 and 4 bits). How activations were to be rounded is left
/// aside: they are not. What is not understood is refused by name.
/// (https://huggingface.co/docs/transformers/quantization/finegrained_fp8, fbgemm_fp8, compressed_tensors)
/// </summary>
sealed class HuggingFaceQuantization
{
    const string Methods = "'fp8', 'fbgemm_fp8', 'modelopt' and 'compressed-tensors'";

    static readonly string[] Formats = ["float-quantized", "int-quantized", "naive-quantized", "pack-quantized", "mixed-precision", "dense"];

    readonly JsonFields _settings;

    HuggingFaceQuantization(JsonFields owner, string name, JsonFields settings)
    {
        _settings = settings;
        Schemes = settings.FindString("quant_method") switch
        {
            "fp8" => [Fp8()],
            "fbgemm_fp8" => [new WeightScheme(8, IsFloat: true, 1, null)],
            "modelopt" => [ModelOpt()],
            "compressed-tensors" => CompressedTensors(),
            var other => throw owner.Error(
                name,
                $"is there (method {ErrorText.Quote(other ?? "unknown")}), which is not supported; {Methods} are: give the model in such a form, "
                + "as F32, F16 or BF16, or a GGUF file"),
        };
    }

    /// <summary>What any matrix may be stored as. Its tensors say which it is.</summary>
    public IReadOnlyList<WeightScheme> Schemes { get; }

    /// <summary>Null: the matrices are floats.</summary>
    /// <param name="text">The fields of the text model, which may be a part of the file.</param>
    public static HuggingFaceQuantization? Find(JsonFields file, JsonFields text)
    {
        foreach (var name in (string[])["quantization_config", "compression_config"])
            foreach (var owner in (JsonFields[])[file, text])
                if (owner.FindObject(name) is { } settings) return new HuggingFaceQuantization(owner, name, settings);
        return null;
    }

    WeightScheme Fp8()
    {
        if (_settings.FindString("fmt") is { } format and not "e4m3")
            throw _settings.Error("fmt", $"is {ErrorText.Quote(format)}, which is not supported; 'e4m3' is");
        return _settings.Has("weight_block_size") ? Block(_settings, "weight_block_size") : new WeightScheme(8, IsFloat: true, null, null);
    }

    WeightScheme ModelOpt() => _settings.FindString("quant_algo") is "FP8"
        ? new WeightScheme(8, IsFloat: true, null, null)
        : throw _settings.Error("quant_algo", $"is {ErrorText.Quote(_settings.FindString("quant_algo") ?? "unknown")}, which is not supported; 'FP8' is");

    List<WeightScheme> CompressedTensors()
    {
        RefuseFormat(_settings);
        if (_settings.FindObject("sparsity_config") is { } sparsity && sparsity.FindString("format") is { } sparse and not "dense")
            throw sparsity.Error("format", $"is {ErrorText.Quote(sparse)}; matrices without their zeros are not supported");
        if (_settings.FindObject("transform_config") is { } transforms && (transforms.FindObject("config_groups")?.Objects().Any() ?? false))
            throw _settings.Error("transform_config", "is there; matrices that were rotated are not supported");
        List<WeightScheme> schemes = [];
        foreach (var (_, group) in _settings.GetObject("config_groups").Objects())
        {
            RefuseFormat(group);
            if (group.FindObject("weights") is { } weights) schemes.Add(Scheme(weights));
        }
        return schemes;
    }

    static void RefuseFormat(JsonFields fields)
    {
        if (fields.FindString("format") is { } format && !Formats.Contains(format))
            throw fields.Error("format", $"is {ErrorText.Quote(format)}, which is not supported; {string.Join(", ", Formats)} are");
    }

    /// <summary>https://github.com/vllm-project/compressed-tensors, quant_args.py</summary>
    static WeightScheme Scheme(JsonFields weights)
    {
        var bits = weights.FindInt32("num_bits") ?? 8;
        var isFloat = (weights.FindString("type") ?? "int") switch
        {
            "float" => true,
            "int" => false,
            var other => throw weights.Error("type", $"is {ErrorText.Quote(other)}, which is not supported; 'int' and 'float' are"),
        };
        if (bits != 8 && (isFloat || bits != 4)) throw weights.Error("num_bits", $"is {bits}, which is not supported; 8, and 4 for integers, are");
        var group = weights.FindInt32("group_size");
        var scheme = (weights.FindString("strategy") ?? (group is null ? "tensor" : group < 0 ? "channel" : "group")) switch
        {
            "tensor" => new WeightScheme(bits, isFloat, null, null),
            "channel" => new WeightScheme(bits, isFloat, 1, null),
            "group" when group > 0 => new WeightScheme(bits, isFloat, 1, group),
            "group" => throw weights.Error("group_size", "is not the size of a group"),
            "block" => Block(weights, "block_structure") with { Bits = bits, IsFloat = isFloat },
            var other => throw weights.Error("strategy", $"is {ErrorText.Quote(other)}, which is not supported; 'tensor', 'channel', 'group' and 'block' are"),
        };
        return scheme with { HasZeroPoints = weights.FindBoolean("symmetric") is false, IsOrdered = IsOrdered(weights) };
    }

    static bool IsOrdered(JsonFields weights)
    {
        if (weights.KindOf("actorder") is not JsonValueKind.String) return weights.FindBoolean("actorder") ?? false;
        return weights.GetString("actorder") switch
        {
            "group" or "dynamic" => true,
            "weight" or "static" => false,
            var other => throw weights.Error("actorder", $"is {ErrorText.Quote(other)}, which is not supported; 'group' and 'weight' are"),
        };
    }

    /// <param name="name">Of two numbers, as a list or like <c>128x128</c>.</param>
    static WeightScheme Block(JsonFields fields, string name)
    {
        int[]? sizes = fields.KindOf(name) is JsonValueKind.String
            ? [.. fields.GetString(name).Split('x')
                .Select(part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var size) ? size : 0)]
            : fields.FindInt32s(name);
        return sizes is [> 0 and var rows, > 0 and var columns]
            ? new WeightScheme(8, IsFloat: true, rows, columns)
            : throw fields.Error(name, "are not the rows and columns of a block");
    }
}
