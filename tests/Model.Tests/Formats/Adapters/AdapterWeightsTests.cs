using System.Buffers.Binary;
using System.Text.Json.Nodes;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Adapters;
using LlamaCluster.Model.Formats.Gguf;
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
        Assert.Equal((3 * 7) + 2, gguf.Pairs.Count);
        Assert.All(gguf.Pairs, pair => Assert.Equal((4, 1.5f), (pair.Rank, pair.Scale)));
        foreach (var tensor in gguf.Pairs.SelectMany(pair => new[] { pair.A, pair.B }))
            Assert.Equal(TensorBytes.Of(gguf.Tensors, tensor), TensorBytes.Of(peft.Tensors, tensor));
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
            adapter.WritePeft(_folder.File("p"), settings => settings["alpha_pattern"] = new JsonObject { ["layers.1.mlp.up_proj"] = 32, ["q_proj"] = 2 }),
            Config);
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
        { "modules_to_save", "[\"embed_tokens\", \"lm_head\"]",
            "modules_to_save names the module of 'model.embed_tokens.weight', which the file does not have" },
        { "modules_to_save", "[\"score\"]", "modules_to_save has 'score'; only embed_tokens and lm_head can be brought whole" },
        { "trainable_token_indices", "[3]", "trainable_token_indices is not supported" },
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
        { "base_model.model.model.embed_tokens.weight", "has a vocabulary of 4, and the model 288: a vocabulary can be extended, not made smaller" },
        { "base_model.model.lm_head.modules_to_save.default.weight", "has a vocabulary of 4, and the model 288" },
        { "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta", "has single rows of the embedding (trainable_token_indices)" },
        { "base_model.model.model.layers.0.self_attn.q_proj.weight", "whole matrices only of embedding and head" },
        { "base_model.model.model.embed_tokens.lora_embedding_A.default", "are the same" },
        { "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight", "changes nothing that adapters may change here" },
        { "base_model.model.model.norm.lora_A.weight", "changes nothing that adapters may change here" },
        { "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight", "are the same" },
        { "something", "changes nothing that adapters may change here" },
    };

    [Theory]
    [MemberData(nameof(BadTensors))]
    public void Tensors_that_have_no_place_are_refused(string name, string expected) =>
        AssertRefused(
            new SyntheticAdapter(Config).WritePeft(_folder.File("a"), more: tensors => tensors.Add(name, "F32", [4, 64], new byte[4 * 64 * 4])), expected);

    [Fact]
    public void Whole_matrices_are_read_and_a_vocabulary_of_its_own_needs_both_and_a_tokenizer()
    {
        var bare = new SyntheticAdapter(Config) { WholeRows = Config.VocabularySize, Type = TensorType.F16 };
        using var same = AdapterWeights.Open(
            bare.WritePeft(_folder.File("s"), settings => settings["modules_to_save"] = new JsonArray("embed_tokens", "lm_head")), Config);
        Assert.Equal([LlamaTensors.Embedding, LlamaTensors.Output], same.Content.Replacements.Select(whole => whole.Target.Name));
        Assert.Null(same.ReadText());
        using var other = AdapterWeights.Open((bare with { BringsWhole = target => target.IsHead }).WritePeft(_folder.File("o")), Config);
        Assert.Equal(LlamaTensors.Output, Assert.Single(other.Content.Replacements).Target.Name);
        Assert.NotEqual(same.ComputeDigest(), other.ComputeDigest());
        // Names of older files, and the model's own matrix beside them.
        using var old = AdapterWeights.Open(new SyntheticAdapter(Config).WritePeft(_folder.File("old"), more: tensors =>
        {
            tensors.Add(
                "base_model.model.lm_head.modules_to_save.weight", "F32",
                [Config.VocabularySize, Config.HiddenSize], new byte[Config.VocabularySize * Config.HiddenSize * 4]);
            tensors.Add("base_model.model.lm_head.original_module.weight", "F32", [1, 4], new byte[16]);
        }), Config);
        Assert.Single(old.Content.Replacements);

        var larger = bare with { WholeRows = Config.VocabularySize + 5 };
        AssertRefused(larger.WritePeft(_folder.File("l")), "and there is no tokenizer.json or tokenizer.model");
        AssertRefused((larger with { BringsWhole = target => target.IsHead, Changes = target => target.Layer is 0 }).WritePeft(_folder.File("h")),
            $"brings a head of {Config.VocabularySize + 5} rows alone, and the model's vocabulary is {Config.VocabularySize}");
        AssertRefused(
            new SyntheticAdapter(Config) { WholeRows = Config.VocabularySize + 5, Changes = target => target.Layer is 0 }.WritePeft(
                _folder.File("d"), more: tensors => tensors.Add("base_model.model.model.embed_tokens.base_layer.weight", "F32", [1, 4], new byte[16])),
            "are the same");
        var tied = Config with { TiedEmbeddings = true };
        var adapter = new SyntheticAdapter(tied)
        {
            WholeRows = tied.VocabularySize,
            BringsWhole = target => target.IsEmbedding,
            Changes = target => target.Layer is 0,
        };
        using var untied = AdapterWeights.Open(adapter.WritePeft(_folder.File("t")), tied);
        Assert.Single(untied.Content.Replacements);
        using var follows = AdapterWeights.Open(adapter.WritePeft(_folder.File("f"), settings => settings["ensure_weight_tying"] = true), tied);
        Assert.Equal(follows.Content.Replacements[0].Tensor, follows.Content.Replacements[1].Tensor);
    }

    /// <summary>llama.cpp gives whole tensors of such a file no meaning: its loader refuses matrices and leaves norms out.</summary>
    [Theory]
    [InlineData("output.weight", "give the adapter's folder of the PEFT library, where a whole embedding and head are read")]
    [InlineData("blk.1.attn_q.weight", "merge the adapter into its model, and serve that; only an embedding and a head can be whole")]
    [InlineData("blk.1.attn_norm.weight", "adapters change no norms here, and llama.cpp would leave it out: merge the adapter into its model")]
    public void Whole_tensors_of_a_GGUF_file_are_refused_with_what_to_do(string name, string expected)
    {
        using var weights = (SyntheticModel.Small with { Config = Config }).Weights();
        var pairs = new GgufPairs();
        pairs.Set("general.type", "adapter");
        pairs.Set("adapter.type", "lora");
        pairs.Set("adapter.lora.alpha", 1f);
        var path = _folder.File("whole.gguf");
        using (var file = File.Create(path)) GgufWriter.Write(file, pairs, weights, [weights.Find(name)!]);
        AssertRefused(path, $"tensor '{name}' is no part of a pair, lora_a and lora_b, which is all that GGUF adapters hold: {expected}");
    }

    [Fact]
    public void The_digest_is_of_the_tokenizer_too()
    {
        var adapter = new SyntheticAdapter(Config) { WholeRows = Config.VocabularySize + 5, Changes = target => target.Layer is 0 };
        string DigestWith(string tokenizer)
        {
            var folder = adapter.WritePeft(_folder.File("t"));
            File.WriteAllText(Path.Combine(folder, "tokenizer.json"), tokenizer);
            using var opened = AdapterWeights.Open(folder, Config);
            return opened.ComputeDigest();
        }
        Assert.Equal(DigestWith("{}"), DigestWith("{}"));
        Assert.NotEqual(DigestWith("{}"), DigestWith("{ }"));
    }

    [Fact]
    public void Adapters_of_other_models_are_refused()
    {
        var other = new SyntheticAdapter(Config with { HiddenSize = 80 });
        AssertRefused(other.WriteGguf(_folder.File("a.gguf")), "has shape [80, 4], where this model takes [64, 4]: the adapter is for another model");
        AssertRefused(other.WritePeft(_folder.File("a")), "tensor 'base_model.model.model.embed_tokens.lora_embedding_B' has shape [80, 4]");
        AssertRefused(SyntheticModel.Small.WriteGguf(_folder.File("m.gguf")), "general.type is missing: the file is a model, not an adapter");
        AssertRefused(_folder.File("none.gguf"), "no such file");
        AssertRefused((new SyntheticAdapter(Config) with { Type = TensorType.Q8_0, Rank = 32 }).WriteGguf(_folder.File("q.gguf")),
            "is Q8_0; adapters must be F32, F16 or BF16");
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
