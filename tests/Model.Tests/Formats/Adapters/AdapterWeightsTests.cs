using System.Buffers.Binary;
using System.Text.Json.Nodes;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Adapters;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.Adapters;

/// <summary>Adapters are read from both formats, or refused in one line that says which part of them is wrong.</summary>
public sealed class AdapterWeightsTests : IDisposable
{
    static readonly LlamaConfig Config = SyntheticModel.Small.Config;

    readonly TempFolder _folder = new();

    [Theory]
    [InlineData(TensorType.F32)]
    [InlineData(TensorType.F16)]
    [InlineData(TensorType.BF16)]
    public void Both_formats_hold_the_same(TensorType type)
    {
        var adapter = new SyntheticAdapter(Config) { Type = type };
        using var gguf = AdapterWeights.Open(adapter.WriteGguf(_folder.File("a.gguf")), Config);
        using var peft = AdapterWeights.Open(adapter.WritePeft(_folder.File("a")), Config);
        Assert.Equal(gguf.Pairs, peft.Pairs);
        Assert.Equal((3 * 7) + 1, gguf.Pairs.Count);
        Assert.All(gguf.Pairs, pair => Assert.Equal((4, 1.5f), (pair.Rank, pair.Scale)));
        foreach (var tensor in gguf.Pairs.SelectMany(pair => new[] { pair.A, pair.B })) Assert.Equal(TensorBytes.Of(gguf.Tensors, tensor), TensorBytes.Of(peft.Tensors, tensor));
        Assert.Equal(gguf.ComputeDigest(), peft.ComputeDigest());
        using var other = AdapterWeights.Open((adapter with { Seed = 2 }).WriteGguf(_folder.File("b.gguf")), Config);
        Assert.NotEqual(gguf.ComputeDigest(), other.ComputeDigest());
        using var stronger = AdapterWeights.Open((adapter with { Alpha = 7 }).WriteGguf(_folder.File("c.gguf")), Config);
        Assert.NotEqual(gguf.ComputeDigest(), stronger.ComputeDigest());
    }

    [Fact]
    public void Scales_are_PEFTs()
    {
        var adapter = new SyntheticAdapter(Config) { Rank = 4, Alpha = 8 };
        using var rooted = AdapterWeights.Open(adapter.WritePeft(_folder.File("r"), settings => settings["use_rslora"] = true), Config);
        Assert.All(rooted.Pairs, pair => Assert.Equal(4, pair.Scale));
        using var patterned = AdapterWeights.Open(
            adapter.WritePeft(_folder.File("p"), settings => settings["alpha_pattern"] = new JsonObject { ["layers.1.mlp.up_proj"] = 32, ["q_proj"] = 2 }), Config);
        Assert.Equal(8, Scale(patterned, "blk.1.ffn_up.weight"));
        Assert.Equal(2, Scale(patterned, "blk.0.ffn_up.weight"));
        Assert.Equal(0.5f, Scale(patterned, "blk.2.attn_q.weight"));
        using var without = AdapterWeights.Open((adapter with { Alpha = 0 }).WriteGguf(_folder.File("z.gguf")), Config);
        Assert.All(without.Pairs, pair => Assert.Equal(1, pair.Scale));   // as llama.cpp takes it

        static float Scale(AdapterWeights adapter, string target) => adapter.Pairs.Single(pair => pair.Target.Name == target).Scale;
    }

    public static TheoryData<string, string, string> BadSettings => new()
    {
        { "peft_type", "\"IA3\"", "peft_type is 'IA3'; only LORA is supported" },
        { "use_dora", "true", "use_dora is true, which is not supported" },
        { "bias", "\"all\"", "bias is 'all'; only none is supported" },
        { "fan_in_fan_out", "true", "fan_in_fan_out is true" },
        { "modules_to_save", "[\"embed_tokens\", \"lm_head\"]", "modules_to_save has 'embed_tokens': the adapter brings whole matrices" },
        { "init_lora_weights", "\"pissa_niter_4\"", "init_lora_weights is 'pissa_niter_4'" },
        { "alpha_pattern", "{\"^q.*\": 3}", "alpha_pattern has the expression '^q.*'" },
        { "layer_replication", "[[0, 4]]", "layer_replication" },
        { "lora_alpha", "\"16\"", "lora_alpha is a string; expected a number" },
    };

    [Theory]
    [MemberData(nameof(BadSettings))]
    public void Settings_that_would_compute_something_else_are_refused(string field, string value, string expected)
    {
        var folder = new SyntheticAdapter(Config).WritePeft(_folder.File("a"), settings => settings[field] = JsonNode.Parse(value));
        AssertRefused(folder, expected);
    }

    public static TheoryData<string, string> BadTensors => new()
    {
        { "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", "is of DoRA, which is not supported" },
        { "base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias", "is of a bias, which is not supported" },
        { "base_model.model.model.embed_tokens.weight", "changes or extends the embedding, which is not supported" },
        { "base_model.model.model.embed_tokens.lora_embedding_A", "changes or extends the embedding, which is not supported" },
        { "base_model.model.lm_head.weight", "changes nothing that adapters may change here" },
        { "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight", "changes nothing that adapters may change here" },
        { "base_model.model.model.norm.lora_A.weight", "changes nothing that adapters may change here" },
        { "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight", "are the same" },
        { "something", "changes nothing that adapters may change here" },
    };

    [Theory]
    [MemberData(nameof(BadTensors))]
    public void Tensors_that_have_no_place_are_refused(string name, string expected) =>
        AssertRefused(new SyntheticAdapter(Config).WritePeft(_folder.File("a"), more: tensors => tensors.Add(name, "F32", [4, 64], new byte[4 * 64 * 4])), expected);

    [Fact]
    public void Adapters_of_other_models_are_refused()
    {
        var other = new SyntheticAdapter(Config with { HiddenSize = 80 });
        AssertRefused(other.WriteGguf(_folder.File("a.gguf")), "has shape [4, 80], where this model takes [4, 64]: the adapter is for another model");
        AssertRefused(other.WritePeft(_folder.File("a")), "tensor 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight' has shape [4, 80]");
        AssertRefused(SyntheticModel.Small.WriteGguf(_folder.File("m.gguf")), "general.type is missing: the file is a model, not an adapter");
        AssertRefused(_folder.File("none.gguf"), "no such file");
        AssertRefused((new SyntheticAdapter(Config) with { Type = TensorType.Q8_0, Rank = 32 }).WriteGguf(_folder.File("q.gguf")), "is Q8_0; adapters must be F32, F16 or BF16");
        AssertRefused((new SyntheticAdapter(Config) with { Rank = 1025 }).WriteGguf(_folder.File("r.gguf")), "has rank 1025; at most 1024 is supported");
        AssertRefused((new SyntheticAdapter(Config) with { Changes = _ => false }).WriteGguf(_folder.File("e.gguf")), "has no tensors");
        File.WriteAllBytes(Path.Combine(new SyntheticAdapter(Config).WritePeft(_folder.File("b")), "adapter_model.bin"), [1]);
        File.Delete(Path.Combine(_folder.File("b"), "adapter_model.safetensors"));
        AssertRefused(_folder.File("b"), "has adapter_model.bin, which is not read");
    }

    [Theory]
    [InlineData("a.gguf")]
    [InlineData("adapter_model.safetensors")]
    [InlineData("adapter_config.json")]
    public void Damaged_files_are_read_or_refused(string name)
    {
        const int Files = 150;
        var tiny = new SyntheticAdapter(Config) { Rank = 2, Changes = target => target.Layer is 0 };
        var path = name == "a.gguf" ? tiny.WriteGguf(_folder.File(name)) : tiny.WritePeft(_folder.Path);
        var whole = File.ReadAllBytes(_folder.File(name));
        var header = name switch
        {
            "a.gguf" => Math.Min(whole.Length, 1500),
            "adapter_config.json" => whole.Length,
            _ => 8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(whole),
        };
        var (mutator, refused) = (new FileMutator(whole, header, seed: 20_261_129), 0);
        for (var i = 0; i < Files; i++)
        {
            File.WriteAllBytes(_folder.File(name), mutator.Next());
            try
            {
                using var adapter = AdapterWeights.Open(path, Config);
                adapter.ComputeDigest();
            }
            catch (ModelFormatException e)
            {
                Assert.DoesNotContain(e.Message, char.IsControl);
                refused++;
            }
        }
        Assert.InRange(refused, Files / 8, Files);
    }

    public void Dispose() => _folder.Dispose();

    static void AssertRefused(string path, string expected)
    {
        var error = Assert.Throws<ModelFormatException>(() => AdapterWeights.Open(path, Config).Dispose());
        Assert.StartsWith(path, error.Message);
        Assert.Contains(expected, error.Message);
        Assert.DoesNotContain(error.Message, char.IsControl);
    }
}
