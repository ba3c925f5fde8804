using System.Buffers.Binary;
using System.Text.Json.Nodes;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.HuggingFace;

/// <summary>Folders in few bits whose config or tensors are not understood, or do not fit together, are refused by name.</summary>
public sealed class FewBitsRefusalTests : IDisposable
{
    const string Query = "model.layers.0.self_attn.q_proj";

    readonly TempFolder _folder = new();

    /// <summary>A folder, what is replaced in its config, and what is said of it.</summary>
    public static TheoryData<string, string, string, string> RefusedConfigs => new()
    {
        { "w4a16", "\"num_bits\": 4", "\"num_bits\": 3", "weights.num_bits is 3, which is not supported; 8, and 4 for integers, are" },
        { "w4a16", "\"type\": \"int\"", "\"type\": \"uint\"", "weights.type is 'uint', which is not supported" },
        { "w4a16", "\"strategy\": \"group\"", "\"strategy\": \"tensor_group\"", "weights.strategy is 'tensor_group', which is not supported" },
        { "w4a16", "\"actorder\": \"weight\"", "\"actorder\": \"random\"", "weights.actorder is 'random', which is not supported" },
        { "w4a16", "\"pack-quantized\"", "\"nvfp4-pack-quantized\"", "quantization_config.format is 'nvfp4-pack-quantized', which is not supported" },
        { "w4a16", "\"kv_cache_scheme\": null", "\"sparsity_config\": {\"format\": \"sparse-24-bitmask\"}", "sparsity_config.format is 'sparse-24-bitmask'" },
        { "w4a16", "\"kv_cache_scheme\": null", "\"transform_config\": {\"config_groups\": {\"u\": {\"type\": \"hadamard\"}}}",
            "transform_config is there; matrices that were rotated" },
        { "fp8-blocks", "\"fmt\": \"e4m3\"", "\"fmt\": \"e5m2\"", "quantization_config.fmt is 'e5m2', which is not supported; 'e4m3' is" },
        { "fbgemm", "\"fbgemm_fp8\"", "\"modelopt\"", "quantization_config.quant_algo is 'unknown', which is not supported; 'FP8' is" },
        { "fbgemm", "\"fbgemm_fp8\"", "\"awq\"",
            "quantization_config is there (method 'awq'), which is not supported; 'fp8', 'fbgemm_fp8', 'modelopt' and 'compressed-tensors' are" },
    };

    /// <summary>As above; what tensors have is not what the config says.</summary>
    public static TheoryData<string, string, string, string> RefusedTensors => new()
    {
        { "w4a16", "\"symmetric\": true", "\"symmetric\": false",
            "is not stored so by what config.json says of its weights (int4 with zero points, a scale for each 32 columns of a row)" },
        { "w4a16-zero-points", "\"symmetric\": false", "\"symmetric\": true", "its zero points I32 [8, 2]; a matrix [64, 64] is not stored so" },
        { "w4a16-ordered", "\"actorder\": \"group\"", "\"actorder\": null", "its weight_g_idx I32 [64]; a matrix [64, 64] is not stored so" },
        { "w4a16", "\"actorder\": \"weight\"", "\"actorder\": true", "(int4, a scale for each 32 columns that weight_g_idx names of a row)" },
        { "w4a16", "\"group_size\": 32", "\"group_size\": 16", "its scales BF16 [64, 2]; a matrix [64, 64] is not stored so" },
        { "w4a16", "\"num_bits\": 4", "\"num_bits\": 8", "q_proj.weight_packed' is I32 [64, 8]" },
        { "fp8-blocks", "48,", "64,", "(float8_e4m3fn, a scale for each block of 64 x 40)" },
        { "float-quantized", "\"channel\"", "\"tensor\"", "(float8_e4m3fn, a scale for each matrix)" },
        { "fp8-matrices", "\"quantization_config\"", "\"left_out\"", "dtype is 'F8_E4M3', which is not supported; F32, F16 and BF16 are" },
    };

    [Theory]
    [MemberData(nameof(RefusedConfigs))]
    public void What_the_config_says_and_is_not_understood_is_refused(string name, string old, string replacement, string problem) =>
        AssertRefused(name, old, replacement, FewBitsFolder.Config, problem);

    [Theory]
    [MemberData(nameof(RefusedTensors))]
    public void Tensors_that_are_not_what_the_config_says_are_refused(string name, string old, string replacement, string problem) =>
        AssertRefused(name, old, replacement, FewBitsFolder.Tensors, problem);

    [Theory]
    [InlineData(Query + ".weight_scale", "/.weight_scale", "tensor '" + Query + ".weight_packed' has no weight_scale, and cannot be read")]
    [InlineData("model.norm.weight", "lm_head.weight_g_idx", "tensor 'lm_head.weight' is BF16 and has a weight_g_idx, which is not supported")]
    [InlineData(Query + ".weight_shape", "/.weight_other", "dtype is 'I64', which is not supported")]
    [InlineData("model.norm.weight", "lm_head.weight_scale", "tensor 'lm_head.weight' is BF16 and has a weight_scale, which is not supported")]
    [InlineData("model.layers.0.mlp.up_proj.weight_packed", "model.layers.0.mlp.ip_proj.weight_packed",
        "tensor 'model.layers.0.mlp.ip_proj.weight_packed' is not one of a Llama model")]
    public void A_part_of_a_matrix_without_the_others_is_refused(string tensor, string other, string problem)
    {
        var path = FewBitsFolder.Copy(_folder, "w4a16");
        var file = Path.Combine(path, FewBitsFolder.Tensors);
        var (header, data) = FewBitsFolder.Split(File.ReadAllBytes(file));
        var renamed = new JsonObject([.. header.Select(entry => KeyValuePair.Create(entry.Key == tensor ? other : entry.Key, entry.Value?.DeepClone()))]);
        var builder = new SafetensorsBuilder();
        builder.Add("data", "U8", [data.Length], data);
        File.WriteAllBytes(file, builder.Build(renamed.ToJsonString()));

        BadModel.AssertRefused(path, file, problem);
    }

    [Fact]
    public void An_order_of_columns_that_does_not_fill_groups_is_refused_when_it_is_read()
    {
        var path = FewBitsFolder.Copy(_folder, "w4a16-ordered");
        var file = Path.Combine(path, FewBitsFolder.Tensors);
        var bytes = File.ReadAllBytes(file);
        var (header, _) = FewBitsFolder.Split(bytes);
        var begin = 8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes) + header[$"{Query}.weight_g_idx"]!["data_offsets"]![0]!.GetValue<int>();
        bytes.AsSpan(begin, 64 * sizeof(int)).Clear();
        File.WriteAllBytes(file, bytes);
        using var weights = ModelFiles.Open(path);

        var error = Assert.Throws<ModelFormatException>(() => TensorBytes.Of(weights, "blk.0.attn_q.weight"));

        Assert.Equal($"{file}: a weight_g_idx does not name each of 2 groups for 32 columns, and is not supported", error.Message);
    }

    [Theory]
    [InlineData("w4a16-ordered", FewBitsFolder.Tensors)]
    [InlineData("fp8-blocks", FewBitsFolder.Config)]
    public void Damaged_files_are_read_or_refused(string name, string damaged)
    {
        var file = Path.Combine(FewBitsFolder.Copy(_folder, name), damaged);
        var whole = File.ReadAllBytes(file);
        var mutator = new FileMutator(
            whole, damaged == FewBitsFolder.Config ? whole.Length : 8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(whole), seed: 17);
        var refused = 0;
        for (var i = 0; i < 300; i++)
        {
            File.WriteAllBytes(file, mutator.Next());
            try
            {
                using var weights = ModelFiles.Open(Path.GetDirectoryName(file)!);
                foreach (var tensor in weights.Tensors) TensorBytes.Of(weights, tensor);
            }
            catch (ModelFormatException e)
            {
                Assert.DoesNotContain(e.Message, char.IsControl);
                refused++;
            }
        }
        Assert.InRange(refused, 75, 300);
    }

    public void Dispose() => _folder.Dispose();

    /// <param name="named">The file that the error is about.</param>
    void AssertRefused(string name, string old, string replacement, string named, string problem)
    {
        var path = FewBitsFolder.Changed(_folder, name, FewBitsFolder.Config, old, replacement);
        BadModel.AssertRefused(path, Path.Combine(path, named), problem);
    }
}
