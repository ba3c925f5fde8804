using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.HuggingFace;

public sealed class HuggingFaceWeightsTests
{
    [SharedFact("models/demo/llamacluster-demo-5m-f16.gguf")]
    public void HasTheSameMatricesAsTheGgufThatLlamaCppConvertedIt()
    {
        using var folder = ModelFiles.Open(SharedFiles.Demo("hf"));
        using var gguf = ModelFiles.Open(SharedFiles.Shared("models/demo/llamacluster-demo-5m-f16.gguf"));

        Assert.Equal(gguf.Config, folder.Config);
        Assert.Equal(gguf.Tensors.Select(t => t.Name).Order(), folder.Tensors.Select(t => t.Name).Order());
        foreach (var tensor in gguf.Tensors)
        {
            var expected = TensorBytes.Of(gguf, tensor);
            var actual = TensorBytes.Of(folder, tensor.Name);
            // Vectors are F32 in the GGUF file; F16 holds them exactly.
            if (tensor.Rows == 1) expected = ToHalf(expected);
            Assert.True(expected.AsSpan().SequenceEqual(actual), tensor.Name);
        }
    }

    [Theory]
    [InlineData(TensorType.F32, 1)]
    [InlineData(TensorType.F16, 1)]
    [InlineData(TensorType.BF16, 3)]
    public void HasTheRowsOfTheSameModelInMemory(TensorType type, int shards)
    {
        using var folder = new TempFolder();
        var model = SyntheticModel.Small with { Type = type };
        using var expected = model.Weights();

        using var actual = ModelFiles.Open(model.WriteHuggingFace(folder.File("folder"), shards));

        Assert.Equal("folder", actual.Name);
        Assert.Equal(expected.Config, actual.Config);
        foreach (var tensor in expected.Tensors.Where(t => t.Rows > 1))
            Assert.Equal(TensorBytes.Of(expected, tensor), TensorBytes.Of(actual, tensor.Name));
    }

    [Fact]
    public void RowsOfQueryAndKeyDoNotDependOnHowManyAreReadAtOnce()
    {
        using var folder = new TempFolder();
        using var weights = ModelFiles.Open(SyntheticModel.Small.WriteHuggingFace(folder.File("folder")));
        var tensor = weights.Find("blk.1.attn_k.weight")!;
        var all = TensorBytes.Of(weights, tensor);

        var some = new byte[3 * tensor.RowBytes];
        weights.ReadRows(tensor, 15, some);

        Assert.Equal(all.AsSpan((int)(15 * tensor.RowBytes), some.Length).ToArray(), some);
    }

    [Fact]
    public void ATiedModelNeedsNoHead()
    {
        using var folder = new TempFolder();
        var model = SyntheticModel.Small with { Config = SyntheticModel.Small.Config with { TiedEmbeddings = true } };

        using var weights = ModelFiles.Open(model.WriteHuggingFace(folder.File("folder")));

        Assert.True(weights.Config.TiedEmbeddings);
        Assert.Null(weights.Find(LlamaTensors.Output));
    }

    [Fact]
    public void ATiedModelsSecondCopyOfTheEmbeddingIsLeftOut()
    {
        using var folder = new TempFolder();
        var path = SyntheticModel.Small.WriteHuggingFace(folder.File("folder"));
        var config = Path.Combine(path, "config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"tie_word_embeddings\":false", "\"tie_word_embeddings\":true"));

        using var weights = ModelFiles.Open(path);

        Assert.Null(weights.Find(LlamaTensors.Output));
    }

    [Fact]
    public void Llama3ScalingIsKept()
    {
        using var folder = new TempFolder();
        var scaling = new RopeScaling.Llama3(8, 1, 4, 8192);
        var model = SyntheticModel.Small with { Config = SyntheticModel.Small.Config with { RopeScaling = scaling } };

        using var weights = ModelFiles.Open(model.WriteHuggingFace(folder.File("folder")));

        Assert.Equal(scaling, weights.Config.RopeScaling);
    }

    static byte[] ToHalf(byte[] singles)
    {
        var half = new byte[singles.Length / 2];
        for (var i = 0; i < half.Length / 2; i++) BitConverter.TryWriteBytes(half.AsSpan(2 * i), (Half)BitConverter.ToSingle(singles, 4 * i));
        return half;
    }
}
