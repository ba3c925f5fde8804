using System.Text;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Conversion;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Inference;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Conversion;

public sealed class ModelQuantizerTests : IDisposable
{
    readonly TempFolder _folder = new();

    [Fact]
    public void TheDemoFolderBecomesTheFileThatLlamaCppMade()
    {
        using var expected = ModelFiles.Open(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"));

        using var actual = ModelFiles.Open(Quantize(SharedFiles.Demo("hf"), TensorType.Q8_0));

        Assert.Equal(expected.Config, actual.Config);
        Assert.Equal(expected.ComputeDigest(), actual.ComputeDigest());
        foreach (var tensor in expected.Tensors)
            Assert.True(TensorBytes.Of(expected, tensor).AsSpan().SequenceEqual(TensorBytes.Of(actual, tensor.Name)), tensor.Name);
    }

    [Fact]
    public void TheTokenizerIsTheOneThatLlamaCppWrote()
    {
        using var expected = GgufFile.Open(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"));

        using var actual = GgufFile.Open(Quantize(SharedFiles.Demo("hf"), TensorType.Q8_0));

        foreach (var key in (string[])["tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.chat_template"])
            Assert.Equal(expected.Metadata.GetString(key), actual.Metadata.GetString(key));
        foreach (var key in (string[])["tokenizer.ggml.tokens", "tokenizer.ggml.merges"])
            Assert.Equal(expected.Metadata.GetStrings(key), actual.Metadata.GetStrings(key));
        // The folder calls the other of the two ids that the model stops on its eos.
        Assert.Equal(
            ModelTextReader.FromGguf(expected.Metadata).Tokenizer.StopIds.Order(),
            ModelTextReader.FromGguf(actual.Metadata).Tokenizer.StopIds.Order());
        foreach (var key in (string[])["tokenizer.ggml.bos_token_id", "general.file_type"])
            Assert.Equal(expected.Metadata.GetInt32(key), actual.Metadata.GetInt32(key));
        Assert.Equal(expected.Metadata.GetInt32s("tokenizer.ggml.token_type"), actual.Metadata.GetInt32s("tokenizer.ggml.token_type"));
        Assert.True(actual.Metadata.GetBoolean("tokenizer.ggml.add_bos_token"));
    }

    [Theory]
    [InlineData(TensorType.Q4_0)]
    [InlineData(TensorType.Q4_K)]
    [InlineData(TensorType.Q6_K)]
    public void AGgufFileKeepsItsMetadata(TensorType type)
    {
        var source = SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf");

        var path = Quantize(source, type);

        using var weights = ModelFiles.Open(path);
        Assert.Equal("LlamaCluster demo 5M", weights.Name);
        Assert.Equal(type, weights.Find("blk.0.attn_q.weight")!.Type);
        Assert.Equal(TensorType.Q6_K, weights.Find(LlamaTensors.Embedding)!.Type);
        Assert.Equal(Encode(source, "How does LlamaCluster work?"), Encode(path, "How does LlamaCluster work?"));
    }

    [Fact]
    public void ExpertsAreQuantisedAndTheirRouterIsNot()
    {
        var model = SyntheticModel.Small with
        {
            Config = SyntheticModel.Small.Config with
            {
                Experts = new ExpertMixture { Count = 4, UsedCount = 1, FfnSize = 32, LayerStep = 2, Gate = ExpertGate.Sigmoid, HasShared = true },
                Chunks = ChunkedAttention.Llama4,
                QueryScale = QueryScale.Llama4,
                NormsHeads = true,
            },
            Type = TensorType.F16,
        };

        using var weights = ModelFiles.Open(Quantize(model.WriteGguf(_folder.File("experts.gguf")), TensorType.Q8_0));

        Assert.Equal(model.Config, weights.Config);
        Assert.Equal(TensorType.F32, weights.Find("blk.1.ffn_gate_inp.weight")!.Type);
        foreach (var name in (string[])["blk.1.ffn_gate.0.weight", "blk.1.ffn_down.3.weight", "blk.1.ffn_up_shexp.weight", "blk.0.ffn_up.weight"])
            Assert.Equal(TensorType.Q8_0, weights.Find(name)!.Type);
    }

    [Fact]
    public void PartsBecomeOneFile()
    {
        var parts = SyntheticModel.Small.WriteGguf(_folder.File("model.gguf"), parts: 3);

        using var weights = ModelFiles.Open(Quantize(parts, TensorType.Q8_0));

        Assert.Equal(30, weights.Tensors.Count);
    }

    [Fact]
    public void Llama3ScalingBecomesDivisors()
    {
        var scaling = new RopeScaling.Llama3(8, 1, 4, 64);
        var config = SyntheticModel.Small.Config with { RopeScaling = scaling, VocabularySize = 2048 };
        (SyntheticModel.Small with { Config = config, Type = TensorType.BF16 }).WriteHuggingFace(_folder.File("model"));
        File.Copy(SharedFiles.Demo("hf/tokenizer.json"), _folder.File("model/tokenizer.json"), overwrite: true);
        File.Copy(SharedFiles.Demo("hf/tokenizer_config.json"), _folder.File("model/tokenizer_config.json"), overwrite: true);

        using var weights = ModelFiles.Open(Quantize(_folder.File("model"), TensorType.Q8_0));

        Assert.Equal(RopeFrequencies.Llama3Divisors(config, scaling), Assert.IsType<RopeScaling.Factors>(weights.Config.RopeScaling).Divisors);
    }

    [Fact]
    public void ATokenizerThatGgufCannotHoldIsRefused()
    {
        var path = SyntheticModel.Small.WriteHuggingFace(_folder.File("model"));

        var error = Assert.Throws<ModelFormatException>(() => Quantize(path, TensorType.Q8_0));

        Assert.Equal($"{path}: has no tokenizer.model, without which this tokenizer cannot be written as GGUF", error.Message);
        Assert.False(File.Exists(_folder.File("out.gguf")));
    }

    [Fact]
    public void ACancelledRunLeavesNothingBehind()
    {
        using var quantizer = new ModelQuantizer(SharedFiles.Demo("hf"), TensorType.Q8_0);

        Assert.Throws<OperationCanceledException>(() => quantizer.Write(_folder.File("out.gguf"), cancellation: new CancellationToken(canceled: true)));

        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    public void Dispose() => _folder.Dispose();

    string Quantize(string path, TensorType type)
    {
        using var quantizer = new ModelQuantizer(path, type);
        quantizer.Write(_folder.File("out.gguf"));
        return _folder.File("out.gguf");
    }

    static List<int> Encode(string path, string text)
    {
        List<int> ids = [];
        ModelTextReader.Open(path).Tokenizer.Encode(Encoding.UTF8.GetBytes(text), ids, addSpecial: true, parseSpecial: false);
        return ids;
    }
}
