using System.Text.Json.Nodes;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.HuggingFace;

public sealed class HuggingFaceFolderTests : IDisposable
{
    readonly TempFolder _folder = new();

    [Fact]
    public void AMissingShardIsNamed()
    {
        Write(shards: 3);
        File.Delete(_folder.File("model-00002-of-00003.safetensors"));

        BadModel.AssertRefused(_folder.Path, Index, "weight_map names 'model-00002-of-00003.safetensors', which is not in the folder");
    }

    [Theory]
    [InlineData("../model.safetensors")]
    [InlineData("/etc/passwd")]
    [InlineData("..")]
    [InlineData("a\\b.safetensors")]
    public void AnIndexCannotNameFilesElsewhere(string file)
    {
        Write(shards: 3);
        ChangeIndex(map => map["model.norm.weight"] = file);

        BadModel.AssertRefused(_folder.Path, Index, $"weight_map.model.norm.weight is in '{file}', which is not the name of a safetensors file in this folder");
    }

    [Fact]
    public void AnIndexThatLiesIsRefused()
    {
        Write(shards: 3);
        ChangeIndex(map => map["model.norm.weight"] = "model-00001-of-00003.safetensors");

        BadModel.AssertRefused(_folder.Path, Index, "weight_map says that tensor 'model.norm.weight' is in 'model-00001-of-00003.safetensors', but it is not");
    }

    [Fact]
    public void AnEmptyIndexIsRefused()
    {
        Write(shards: 3);
        ChangeIndex(map => map.Clear());

        BadModel.AssertRefused(_folder.Path, Index, "weight_map names 0 files");
    }

    [Fact]
    public void ATensorInTwoShardsIsRefused()
    {
        Write(shards: 3);
        File.Copy(_folder.File("model-00001-of-00003.safetensors"), _folder.File("model-00004-of-00003.safetensors"));
        ChangeIndex(map => map["model.embed_tokens.weight"] = "model-00004-of-00003.safetensors");

        BadModel.AssertRefused(_folder.Path, _folder.File("model-00004-of-00003.safetensors"), "is in another file too");
    }

    [Fact]
    public void AFolderWithoutTensorsSaysWhatItNeeds()
    {
        Write(shards: 1);
        File.Delete(_folder.File("model.safetensors"));
        BadModel.AssertRefused(_folder.Path, "has no model.safetensors: give a GGUF file or a folder with a Hugging Face model");

        File.WriteAllText(_folder.File("pytorch_model.bin"), "");
        BadModel.AssertRefused(_folder.Path, "has PyTorch files but no model.safetensors: convert the model to Hugging Face's format");
    }

    [Fact]
    public void AFolderOfAnotherKindSaysWhatItIs()
    {
        File.WriteAllText(_folder.File("consolidated.00.pth"), "x");
        BadModel.AssertRefused(_folder.Path, "has PyTorch files but no config.json: convert the model to Hugging Face's format with safetensors");

        File.WriteAllText(_folder.File("adapter_config.json"), "{}");
        BadModel.AssertRefused(_folder.Path, "has no config.json, but an adapter: merge it into the model that it was made for, and give that");
    }

    [Fact]
    public void AFolderOfGgufFilesSaysSo()
    {
        SyntheticModel.Small.WriteGguf(_folder.File("model.gguf"));

        BadModel.AssertRefused(_folder.Path, $"give the GGUF file in it, such as {_folder.File("model.gguf")}");
    }

    [Fact]
    public void AnEmptyFolderIsRefused() => BadModel.AssertRefused(_folder.Path, "has no config.json: give a GGUF file or a folder");

    [Theory]
    [InlineData("model.safetensors", "is one file of a Hugging Face model: give the folder that it is in")]
    [InlineData("config.json", "is one file of a Hugging Face model")]
    [InlineData("model.pth", "is a PyTorch file, which is not supported")]
    public void AFileOfAFolderSaysWhatToGive(string name, string expected)
    {
        Write(shards: 1);
        File.AppendAllText(_folder.File(name), "x");

        BadModel.AssertRefused(_folder.File(name), expected);
    }

    [Theory]
    [InlineData("model.layers.1.self_attn.q_proj.bias", "is a bias that the config does not ask for")]
    [InlineData("model.layers.1.block_sparse_moe.gate.weight", "is not one of a Llama model of this config")]
    [InlineData("model.layers.3.input_layernorm.weight", "'model.layers.3.input_layernorm.weight' is not one of a Llama model of this config")]
    public void ATensorThatIsNoLlamasIsRefused(string name, string expected)
    {
        WriteWith(name);

        BadModel.AssertRefused(_folder.Path, expected);
    }

    [Fact]
    public void AFileThatIsNotThereIsNotMistakenForAnother() => BadModel.AssertRefused(_folder.File("model.safetensors"), "no such file");

    [Theory]
    [InlineData("lm_head.weight", "lm_head.weight is missing: a model whose head is its embedding says so in config.json, with tie_word_embeddings: true")]
    [InlineData("model.norm.weight", "tensor model.norm.weight is missing")]
    [InlineData("model.embed_tokens.weight", "tensor model.embed_tokens.weight is missing")]
    [InlineData("model.layers.1.mlp.up_proj.weight", "tensor model.layers.1.mlp.up_proj.weight is missing")]
    public void AMissingTensorIsNamedAsTheFolderNamesIt(string name, string expected)
    {
        Write(shards: 1);
        var file = _folder.File("model.safetensors");
        var bytes = File.ReadAllBytes(file);
        var length = (int)BitConverter.ToUInt64(bytes);
        var header = JsonNode.Parse(bytes.AsSpan(8, length))!.AsObject();
        header.Remove(name);
        File.WriteAllBytes(file, [.. new SafetensorsBuilder().Build(header.ToJsonString()), .. bytes[(8 + length)..]]);

        BadModel.AssertRefused(_folder.Path, expected);
    }

    [Fact]
    public void TablesThatFollowFromTheConfigAreLeftOut()
    {
        WriteWith("model.layers.1.self_attn.rotary_emb.inv_freq");

        using var weights = ModelFiles.Open(_folder.Path);

        Assert.Equal(30, weights.Tensors.Count);
    }

    public void Dispose() => _folder.Dispose();

    string Index => _folder.File("model.safetensors.index.json");

    void Write(int shards) => (SyntheticModel.Small with { Type = TensorType.F16 }).WriteHuggingFace(_folder.Path, shards);

    /// <summary>A good folder with one vector more.</summary>
    void WriteWith(string name)
    {
        Write(shards: 2);
        var more = new SafetensorsBuilder();
        more.Add(name, "F32", [8], new byte[32]);
        File.WriteAllBytes(_folder.File("more.safetensors"), more.Build());
        ChangeIndex(map => map[name] = "more.safetensors");
    }

    void ChangeIndex(Action<JsonObject> change)
    {
        var json = JsonNode.Parse(File.ReadAllText(Index))!;
        change(json["weight_map"]!.AsObject());
        File.WriteAllText(Index, json.ToJsonString());
    }
}
