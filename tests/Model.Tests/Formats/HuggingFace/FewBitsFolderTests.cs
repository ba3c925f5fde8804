using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.HuggingFace;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Model.Local;
using LlamaCluster.Model.Tests.Inference;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.HuggingFace;

/// <summary>
/// Folders whose matrices are numbers of few bits and scales. tests/Fixtures/few-bits/record.py made them, and recorded what the library compressed-tensors
/// makes of them.
/// </summary>
public sealed class FewBitsFolderTests : IDisposable
{
    static readonly (int Row, int Rows, int Column, int Columns)[] Parts =
        [(0, 3, 1, 1), (5, 20, 31, 2), (1, 31, 33, 30), (17, 9, 40, 24), (30, 2, 0, 63), (7, 8, 0, 64)];

    readonly TempFolder _folder = new();

    public static TheoryData<string> Names =>
        ["w4a16", "w4a16-zero-points", "w4a16-ordered", "w8a16-rows", "fp8-blocks", "fp8-matrices", "fbgemm", "float-quantized"];

    [Theory]
    [MemberData(nameof(Names))]
    public void Weights_are_those_that_the_library_makes(string name)
    {
        using var weights = ModelFiles.Open(FewBitsFolder.Fixture(name));
        var expected = JsonNode.Parse(File.ReadAllText(Path.Combine(FewBitsFolder.Fixture(name), "expected.json")))!.AsObject();

        Assert.Equal(14, expected.Count);
        foreach (var (tensor, recorded) in expected)
        {
            var info = weights.Find(new HuggingFaceNames(HuggingFaceFamily.Llama).ToGguf(tensor))!;
            var type = Enum.Parse<TensorType>(recorded!["type"]!.GetValue<string>());
            var stored = InFilesOrder(TensorBytes.Of(weights, info), info, weights.Config.HeadSize);
            var rounded = new byte[type == TensorType.F32 ? stored.Length : stored.Length / 2];
            RowEncoder.Encode(type, MemoryMarshal.Cast<byte, float>(stored), rounded);

            Assert.Equal(TensorType.F32, info.Type);
            var first = Decode(type, rounded[..(rounded.Length / (int)info.Rows)])[..4];
            Assert.Equal(recorded["first"]!.AsArray().Select(value => value!.GetValue<float>()), first);
            Assert.Equal(recorded["sha256"]!.GetValue<string>(), Convert.ToHexStringLower(SHA256.HashData(rounded)));
        }
    }

    [Fact]
    public void A_byte_of_float8_stands_for_the_number_that_ONNX_Runtime_casts_it_to()
    {
        var expected = File.ReadLines(SharedFiles.Fixture("few-bits/float8_e4m3fn.txt"))
            .Select(line => uint.Parse(line, NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToArray();
        File.WriteAllBytes(_folder.File("bytes"), [.. Enumerable.Range(0, 256).Select(i => (byte)i), .. BitConverter.GetBytes(1f)]);
        using var file = ModelFile.Open(_folder.File("bytes"));
        var actual = new float[256];

        var one = new StoredScales(new StoredPlace(file, 256), TensorType.F32, 1, 256);
        new ScaledMatrix(ScaledNumber.Float8, new StoredPlace(file, 0), 256, one).ReadRow(0, 0, actual);

        for (var i = 0; i < 256; i++)
            if (float.IsNaN(BitConverter.UInt32BitsToSingle(expected[i]))) Assert.True(float.IsNaN(actual[i]), $"{i}");
            else Assert.Equal(expected[i], BitConverter.SingleToUInt32Bits(actual[i]));
    }

    /// <summary>Whether they are decoded in vectors or one by one.</summary>
    [Fact]
    public void Numbers_are_the_same_wherever_a_row_begins_and_ends()
    {
        var stored = Enumerable.Range(0, 256).Select(i => (byte)(i * 37)).ToArray();
        foreach (var number in Enum.GetValues<ScaledNumber>())
        {
            var bits = number is ScaledNumber.Offset4 ? 4 : 8;
            float[] Numbers(int first, int count)
            {
                var numbers = new float[count];
                ScaledNumbers.Decode(number, stored.AsSpan(first * bits / 8), first * bits % 8 != 0, numbers);
                return numbers;
            }
            float[] whole = [.. Enumerable.Range(0, 200).Select(i => Numbers(i, 1)[0])];
            Assert.Equal(number switch
            {
                ScaledNumber.Int8 => (float)(sbyte)stored[5],
                ScaledNumber.Offset8 => stored[5] - 128,
                ScaledNumber.Offset4 => (stored[2] >> 4) - 8,
                _ => whole[5],
            }, whole[5]);
            for (var first = 0; first < 35; first++)
                for (var count = 1; count < 140; count += 1 + (count / 20)) Assert.Equal(whole[first..(first + count)], Numbers(first, count));
        }
    }

    [Fact]
    public void Who_serves_a_folder_as_it_is_is_told_what_it_takes()
    {
        var path = FewBitsFolder.Fixture("w4a16");
        using var asItIs = ModelFiles.Open(path);
        using var quantized = new QuantizedWeights(ModelFiles.Open(path), TensorType.Q4_0);
        var hint = FewBitsHint.Of(asItIs);
        Assert.Contains("stored in few bits are F32 in memory", hint);
        Assert.Contains("--quantize q8_0 makes it", hint);
        Assert.Null(FewBitsHint.Of(quantized));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_part_has_the_rows_and_columns_of_the_whole(string name)
    {
        using var weights = ModelFiles.Open(FewBitsFolder.Fixture(name));
        foreach (var tensor in weights.Tensors.Where(tensor => weights.StoredAs(tensor) is not null))
        {
            var whole = MemoryMarshal.Cast<byte, float>(TensorBytes.Of(weights, tensor)).ToArray();
            foreach (var (firstRow, rows, firstColumn, columns) in Parts)
            {
                var part = new TensorPart(tensor, firstRow, rows, firstColumn, columns);
                var bytes = new byte[part.Bytes];
                weights.ReadPart(part, bytes);
                var expected = Enumerable.Range(firstRow, rows).SelectMany(row => whole.Skip(row * (int)tensor.Columns + firstColumn).Take(columns));
                Assert.Equal(expected, MemoryMarshal.Cast<byte, float>(bytes).ToArray());
            }
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Stages_and_ranks_that_cut_groups_compute_what_one_worker_computes(string name)
    {
        using var weights = ModelFiles.Open(FewBitsFolder.Fixture(name));
        var whole = new ScoredRun(weights, TestModels.Tokens(40, 1), TestModels.Tokens(7, 2));
        var expected = whole.Run();

        Assert.Equal(expected, (whole with { Stages = 2 }).Run());
        // Head 2 begins with a group of 32 columns of O, and within a block of 40; columns 40 and 71 within groups of down.
        foreach (var column in (int[])[40, 64, 71])
        {
            var plan = new LocalStagePlan(StageShape.Whole(2), TestSlices.Cut(weights.Config, [0, 2], [0, column], [0, 16]));
            var split = (whole with { Plan = [plan] }).Run();
            for (var s = 0; s < split.Length; s++)
                Assert.InRange(expected[s].Zip(split[s], (a, b) => Math.Abs(a - b)).Max(), 0, 1e-4);
        }
    }

    [Theory]
    [InlineData("w4a16-zero-points")]
    [InlineData("fp8-blocks")]
    public void Quantised_while_it_is_read_it_is_its_weights_rounded_once(string name)
    {
        using var plain = ModelFiles.Open(FewBitsFolder.Fixture(name));
        using var quantised = ModelFiles.Open(new QuantizedModelPath(FewBitsFolder.Fixture(name), TensorType.Q8_0).ToString());
        foreach (var tensor in plain.Tensors.Where(tensor => plain.StoredAs(tensor) is not null))
        {
            var expected = new byte[tensor.Rows * tensor.Columns / 32 * 34];
            RowEncoder.Encode(TensorType.Q8_0, MemoryMarshal.Cast<byte, float>(TensorBytes.Of(plain, tensor)), expected);
            Assert.Equal(expected, TensorBytes.Of(quantised, tensor.Name));
            Assert.Equal(plain.StoredAs(tensor), quantised.StoredAs(quantised.Find(tensor.Name)!));
        }
    }

    /// <summary>What the config says in other words is the same model.</summary>
    [Theory]
    [InlineData("fp8-blocks", "fp8", "block", "\"block_structure\": \"48x40\"")]
    [InlineData("fp8-blocks", "fp8", "block", "\"block_structure\": [48, 40]")]
    [InlineData("fp8-matrices", "fp8", null, "\"symmetric\": true")]
    [InlineData("fbgemm", "fbgemm_fp8", null, "\"group_size\": -1")]
    public void Compressed_tensors_has_the_forms_of_others(string name, string method, string? strategy, string settings)
    {
        var weights = $"{{\"num_bits\": 8, \"type\": \"float\", {(strategy is null ? "" : $"\"strategy\": \"{strategy}\", ")}{settings}}}";
        var compressed = $"\"compressed-tensors\", \"format\": \"float-quantized\", \"config_groups\": {{\"all\": {{\"weights\": {weights}}}}}";
        AssertSame(name, FewBitsFolder.Changed(_folder, name, FewBitsFolder.Config, $"\"{method}\"", compressed));
    }

    [Fact]
    public void ModelOpt_has_a_scale_for_each_matrix() =>
        AssertSame("fp8-matrices", FewBitsFolder.Changed(_folder, "fp8-matrices", FewBitsFolder.Config, "\"fp8\"", "\"modelopt\", \"quant_algo\": \"FP8\""));

    [Fact]
    public void Integers_of_8_bits_may_be_bytes()
    {
        const string Packed = ".weight_packed";
        var path = FewBitsFolder.Changed(_folder, "w8a16-rows", FewBitsFolder.Config, "pack-quantized", "int-quantized");
        var (header, data) = FewBitsFolder.Split(File.ReadAllBytes(Path.Combine(path, FewBitsFolder.Tensors)));
        var builder = new SafetensorsBuilder();
        foreach (var (tensor, entry) in header.Where(entry => !entry.Key.EndsWith(".weight_shape", StringComparison.Ordinal)))
        {
            var place = entry!["data_offsets"]!.AsArray().Select(offset => offset!.GetValue<int>()).ToArray();
            long[] shape = [.. entry["shape"]!.AsArray().Select(n => n!.GetValue<long>())];
            var stored = data[place[0]..place[1]];
            if (tensor.EndsWith(Packed, StringComparison.Ordinal))
                builder.Add($"{tensor[..^Packed.Length]}.weight", "I8", [shape[0], 4 * shape[1]], [.. stored.Select(number => (byte)(number - 128))]);
            else builder.Add(tensor, entry["dtype"]!.GetValue<string>(), shape, stored);
        }
        File.WriteAllBytes(Path.Combine(path, FewBitsFolder.Tensors), builder.Build());

        AssertSame("w8a16-rows", path);
    }

    [Fact]
    public void Integers_of_4_bits_are_Q4_0_without_loss()
    {
        var path = FewBitsFolder.Fixture("w4a16");
        using var plain = ModelFiles.Open(path);
        using var quantised = ModelFiles.Open(new QuantizedModelPath(path, TensorType.Q4_0).ToString());
        foreach (var tensor in plain.Tensors.Where(tensor => plain.StoredAs(tensor) is not null))
        {
            var blocks = TensorBytes.Of(quantised, tensor.Name);
            var values = new float[tensor.Rows * tensor.Columns];
            Kernels.Formats.RowDecoder.Decode(TensorType.Q4_0, blocks, values);
            Assert.Equal(MemoryMarshal.Cast<byte, float>(TensorBytes.Of(plain, tensor)).ToArray(), values);

            var part = TensorPart.Columns(quantised.Find(tensor.Name)!, 32, 32);
            var column = new byte[part.Bytes];
            quantised.ReadPart(part, column);
            Assert.Equal(blocks.Chunk((int)(tensor.Columns / 32 * 18)).SelectMany(row => row[18..36]), column);
        }
    }

    /// <summary>As in folders of Llama 4 in few bits: each expert's matrices for themselves, where others have stacks.</summary>
    [Fact]
    public void Experts_of_Llama_4_may_be_modules()
    {
        var names = new HuggingFaceNames(HuggingFaceFamily.Llama4);
        Assert.Equal("blk.3.ffn_gate.17.weight", names.ToGguf("language_model.model.layers.3.feed_forward.experts.17.gate_proj.weight"));
        Assert.Equal("blk.3.ffn_down.0.weight", names.ToGguf("model.layers.3.feed_forward.experts.0.down_proj.weight"));
        Assert.Equal("model.layers.3.feed_forward.experts.gate_up_proj", names.FromGguf("blk.3.ffn_up.1.weight"));
    }

    [Fact]
    public void Facts_say_what_the_files_hold()
    {
        using var weights = ModelFiles.Open(FewBitsFolder.Fixture("fp8-blocks"));
        Assert.Equal([new StoredFormFacts("float8_e4m3fn, a scale for each block of 48 x 40", 14)], ModelFacts.Of(weights).StoredForms);
    }

    [Fact]
    public void Parts_of_a_matrix_may_stand_in_files_of_their_own()
    {
        var path = FewBitsFolder.Copy(_folder, "w4a16-ordered");
        var (header, data) = FewBitsFolder.Split(File.ReadAllBytes(Path.Combine(path, FewBitsFolder.Tensors)));
        var map = new JsonObject();
        foreach (var group in header.GroupBy(
            entry => entry.Key.EndsWith("_scale", StringComparison.Ordinal) || entry.Key.EndsWith("_idx", StringComparison.Ordinal)))
        {
            var builder = new SafetensorsBuilder();
            var name = group.Key ? "model-b.safetensors" : "model-a.safetensors";
            foreach (var (tensor, entry) in group)
            {
                var place = entry!["data_offsets"]!.AsArray().Select(offset => offset!.GetValue<int>()).ToArray();
                builder.Add(
                    tensor, entry["dtype"]!.GetValue<string>(), [.. entry["shape"]!.AsArray().Select(n => n!.GetValue<long>())],
                    data.AsSpan()[place[0]..place[1]]);
                map[tensor] = name;
            }
            File.WriteAllBytes(Path.Combine(path, name), builder.Build());
        }
        File.Delete(Path.Combine(path, FewBitsFolder.Tensors));
        File.WriteAllText(Path.Combine(path, "model.safetensors.index.json"), new JsonObject { ["weight_map"] = map }.ToJsonString());

        using var parts = ModelFiles.Open(path);
        using var whole = ModelFiles.Open(FewBitsFolder.Fixture("w4a16-ordered"));

        Assert.Equal(whole.ComputeDigest(), parts.ComputeDigest());
    }

    public void Dispose() => _folder.Dispose();

    static void AssertSame(string name, string path)
    {
        using var expected = ModelFiles.Open(FewBitsFolder.Fixture(name));
        using var actual = ModelFiles.Open(path);
        Assert.Equal(expected.ComputeDigest(), actual.ComputeDigest());
    }

    /// <summary>The rows of Q and K as the file has them.</summary>
    static byte[] InFilesOrder(byte[] bytes, TensorInfo tensor, int headSize)
    {
        if (!tensor.Name.Contains("attn_q") && !tensor.Name.Contains("attn_k")) return bytes;
        var (ordered, rowBytes) = (new byte[bytes.Length], (int)tensor.RowBytes);
        for (var row = 0; row < tensor.Rows; row++)
            bytes.AsSpan(row * rowBytes, rowBytes).CopyTo(ordered.AsSpan((int)RopeRowOrder.StoredRow(row, headSize) * rowBytes));
        return ordered;
    }

    static float[] Decode(TensorType type, byte[] stored)
    {
        var values = new float[type == TensorType.F32 ? stored.Length / 4 : stored.Length / 2];
        Kernels.Formats.RowDecoder.Decode(type, stored, values);
        return values;
    }
}
