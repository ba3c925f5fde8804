using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Tests.Formats.RandomNumbers;

public sealed class RandomModelPathTests
{
    const string Shape = "hidden=64,layers=3,ffn=96,heads=4,kv-heads=2,vocab=80";

    [Theory]
    [InlineData($"shape:{Shape};type=q4_0")]
    [InlineData("shape:llama-3.1-405b;layers=2;type=q6_k;share-layer-weights")]
    public void IsReadAsItIsWritten(string path)
    {
        var parsed = RandomModelPath.Parse(path);

        Assert.True(RandomModelPath.Is(path));
        Assert.Equal(path, parsed.ToString());
        Assert.Equal(path, ModelFiles.IdOf(path));
        Assert.Equal(path, ModelFiles.FullPath(path));
        Assert.True(ModelFiles.Exist(path));
    }

    [Fact]
    public void OpensAsAModelOfWhichEveryProcessHasTheSame()
    {
        var path = $"shape:{Shape};layers=2;type=q8_0;share-layer-weights";
        using var weights = ModelFiles.Open(path);
        using var elsewhere = ModelFiles.Open(path);
        var text = ModelTextReader.Open(path);

        Assert.Equal((2, 80), (weights.Config.LayerCount, weights.Config.VocabularySize));
        Assert.True(weights.LayersAreAlike);
        Assert.Equal(TensorType.Q8_0, weights.Find(LlamaTensors.Output)!.Type);
        Assert.Equal(weights.ComputeDigest(), elsewhere.ComputeDigest());
        Assert.Equal(80, text.Tokenizer.VocabularySize);
        Assert.Null(text.Template);
    }

    [Theory]
    [InlineData("shape:llama-9", "shape 'llama-9' is unknown")]
    [InlineData($"shape:{Shape};layers=4", "the shape has 3 layers")]
    [InlineData($"shape:{Shape};layers=0", "the shape has 3 layers")]
    [InlineData($"shape:{Shape};layers=-1", "'layers=-1' is none of")]
    [InlineData($"shape:{Shape};type=q9", "'type=q9' is none of")]
    [InlineData($"shape:{Shape};alike", "'alike' is none of")]
    [InlineData($"shape:{Shape};type=q4_k", "not whole Q4_K blocks")]
    [InlineData("shape:hidden=2000000000,layers=1,ffn=32,heads=1,vocab=32", "hidden size is 2000000000")]
    public void WhatItCannotMeanIsOneLine(string path, string problem)
    {
        var error = Assert.Throws<ModelFormatException>(() => ModelFiles.Open(path));

        Assert.Contains(problem, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }
}
