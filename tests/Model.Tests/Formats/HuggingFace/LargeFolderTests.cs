using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Model.Tests.Formats.HuggingFace;

/// <summary>A folder of the true sizes of a 405B model with one layer, 14.7 GB of which the disk holds only what is not zero.</summary>
public sealed class LargeFolderTests : IDisposable
{
    const int Hidden = 16_384, Ffn = 53_248, Keys = 1024, Vocabulary = 128_256;

    readonly TempFolder _folder = new();
    readonly JsonObject _header = [];
    long _dataBytes;

    public void Dispose() => _folder.Dispose();

    [SparseFact]
    public void Rows_beyond_4_GB_are_found_and_quantised()
    {
        Half[] last = [.. Enumerable.Range(0, Hidden).Select(column => (Half)(column % 16 - 8))];
        Write(last);

        using var weights = new QuantizedWeights(ModelFiles.Open(_folder.Path), TensorType.Q8_0);
        Assert.True(_dataBytes > 14_000_000_000);
        var head = weights.Find(LlamaTensors.Output)!;
        var (row, values) = (new byte[2 * head.RowBytes], new float[2 * Hidden]);
        weights.ReadRows(head, Vocabulary - 2, row);
        RowDecoder.Decode(head.Type, row, values);
        Assert.Equal(new float[Hidden], values[..Hidden]);
        // Half a step of 8 / 127, and what rounding the scale adds.
        Assert.All(last.Zip(values[Hidden..]), pair => Assert.InRange(pair.Second - (float)pair.First, -0.035f, 0.035f));
    }

    /// <param name="last">The last row of the head, and of the file.</param>
    void Write(Half[] last)
    {
        Add("model.embed_tokens", Vocabulary, Hidden);
        AddLayer("model.layers.0");
        Add("model.norm", Hidden);
        Add("lm_head", Vocabulary, Hidden);
        File.WriteAllText(_folder.File("config.json"), $$"""
            {"model_type": "llama", "hidden_size": {{Hidden}}, "intermediate_size": {{Ffn}}, "num_hidden_layers": 1, "num_attention_heads": 128,
             "num_key_value_heads": 8, "vocab_size": {{Vocabulary}}, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 500000,
             "tie_word_embeddings": false}
            """);
        var json = Encoding.UTF8.GetBytes(_header.ToJsonString());
        using var file = File.Create(_folder.File("model.safetensors"));
        file.Write(BitConverter.GetBytes((ulong)json.Length));
        file.Write(json);
        file.SetLength(file.Position + _dataBytes);
        var bytes = MemoryMarshal.AsBytes(last.AsSpan());
        file.Position = file.Length - bytes.Length;
        file.Write(bytes);
    }

    void AddLayer(string layer)
    {
        Add($"{layer}.input_layernorm", Hidden);
        Add($"{layer}.self_attn.q_proj", Hidden, Hidden);
        Add($"{layer}.self_attn.k_proj", Keys, Hidden);
        Add($"{layer}.self_attn.v_proj", Keys, Hidden);
        Add($"{layer}.self_attn.o_proj", Hidden, Hidden);
        Add($"{layer}.post_attention_layernorm", Hidden);
        Add($"{layer}.mlp.gate_proj", Ffn, Hidden);
        Add($"{layer}.mlp.up_proj", Ffn, Hidden);
        Add($"{layer}.mlp.down_proj", Hidden, Ffn);
    }

    void Add(string name, params long[] shape)
    {
        var end = _dataBytes + shape.Aggregate(2L, (bytes, length) => bytes * length);
        _header[$"{name}.weight"] = new JsonObject
        {
            ["dtype"] = "F16",
            ["shape"] = new JsonArray([.. shape.Select(length => (JsonNode)length)]),
            ["data_offsets"] = new JsonArray(_dataBytes, end),
        };
        _dataBytes = end;
    }
}
