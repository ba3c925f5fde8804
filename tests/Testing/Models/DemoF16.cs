using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text.Json;

namespace LlamaCluster.Testing.Models;

/// <summary>
/// Makes the demo model's F16 GGUF file, byte for byte as llama.cpp's converter wrote it. The repository has the numbers already, in the Hugging Face
/// folder, so it stores only the converter's header and tensor table (the .head file). The digest of the whole file proves that no byte differs.
/// </summary>
static class DemoF16
{
    public const string Name = "models/demo/llamacluster-demo-5m-f16.gguf";

    const string Digest = "3b1cac3f9b69a26c04152848255e0c081cc69c9960d022c981e591845e9abcd2";
    const int Layers = 8, HeadSize = 32;

    /// <summary>A layer's tensors in the file's order, by their names in both formats.</summary>
    static readonly (string Gguf, string HuggingFace)[] OfLayer =
    [
        ("attn_norm", "input_layernorm"),
        ("attn_q", "self_attn.q_proj"),
        ("attn_k", "self_attn.k_proj"),
        ("attn_v", "self_attn.v_proj"),
        ("attn_output", "self_attn.o_proj"),
        ("ffn_norm", "post_attention_layernorm"),
        ("ffn_gate", "mlp.gate_proj"),
        ("ffn_up", "mlp.up_proj"),
        ("ffn_down", "mlp.down_proj"),
    ];

    static readonly Lazy<string> Made = new(Make);

    /// <summary>The file in the output folder of the tests. It is made when it is first needed.</summary>
    public static string Path => Made.Value;

    static string Make()
    {
        var path = System.IO.Path.Combine(AppContext.BaseDirectory, "llamacluster-demo-5m-f16.gguf");
        if (File.Exists(path) && DigestOf(File.ReadAllBytes(path)) == Digest) return path;
        var bytes = Build();
        if (DigestOf(bytes) != Digest) throw new InvalidDataException($"{Name} made of the Hugging Face folder is not the file that llama.cpp wrote");
        // Another process may look for the file at the same time: it must see all of it or nothing.
        var part = $"{path}.{Environment.ProcessId}";
        File.WriteAllBytes(part, bytes);
        File.Move(part, path, overwrite: true);
        return path;
    }

    static byte[] Build()
    {
        var numbers = File.ReadAllBytes(SharedFiles.Demo("hf/model.safetensors"));
        var headerLength = (int)BinaryPrimitives.ReadUInt64LittleEndian(numbers);
        using var header = JsonDocument.Parse(numbers.AsMemory(sizeof(ulong), headerLength));
        using var file = new MemoryStream();
        file.Write(File.ReadAllBytes(SharedFiles.Fixture("models/demo/llamacluster-demo-5m-f16.head")));
        Add("token_embd", "model.embed_tokens");
        for (var layer = 0; layer < Layers; layer++)
            foreach (var (gguf, huggingFace) in OfLayer) Add(gguf, $"model.layers.{layer}.{huggingFace}");
        Add("output_norm", "model.norm");
        return file.ToArray();

        void Add(string gguf, string huggingFace)
        {
            var tensor = header.RootElement.GetProperty($"{huggingFace}.weight");
            var (first, end) = (tensor.GetProperty("data_offsets")[0].GetInt32(), tensor.GetProperty("data_offsets")[1].GetInt32());
            var halves = numbers.AsSpan(sizeof(ulong) + headerLength + first, end - first);
            ReadOnlySpan<byte> stored = gguf switch
            {
                "attn_q" or "attn_k" => Interleaved(halves, rowBytes: tensor.GetProperty("shape")[1].GetInt32() * 2),
                _ when gguf.EndsWith("_norm", StringComparison.Ordinal) => Floats(halves),
                _ => halves,
            };
            file.Write(stored);
        }
    }

    /// <summary>GGUF stores the two halves of each head's rows in turn: 0, 16, 1, 17...</summary>
    static byte[] Interleaved(ReadOnlySpan<byte> rows, int rowBytes)
    {
        var result = new byte[rows.Length];
        for (var row = 0; row < rows.Length / rowBytes; row++)
        {
            var (head, within) = Math.DivRem(row, HeadSize);
            var source = head * HeadSize + within % 2 * (HeadSize / 2) + within / 2;
            rows.Slice(source * rowBytes, rowBytes).CopyTo(result.AsSpan(row * rowBytes));
        }
        return result;
    }

    /// <summary>GGUF stores norms as F32.</summary>
    static byte[] Floats(ReadOnlySpan<byte> halves)
    {
        var result = new byte[2 * halves.Length];
        for (var i = 0; i < halves.Length; i += 2)
            BinaryPrimitives.WriteSingleLittleEndian(result.AsSpan(2 * i), (float)BinaryPrimitives.ReadHalfLittleEndian(halves[i..]));
        return result;
    }

    static string DigestOf(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}
