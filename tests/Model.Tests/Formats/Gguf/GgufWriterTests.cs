using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.Gguf;

public sealed class GgufWriterTests
{
    public static TheoryData<TensorType> Types => [TensorType.F32, TensorType.F16, TensorType.BF16, TensorType.Q8_0, TensorType.Q4_0];

    [Theory]
    [MemberData(nameof(Types))]
    public void WhatIsWrittenIsRead(TensorType type)
    {
        using var folder = new TempFolder();
        var model = SyntheticModel.Small with { Type = type };
        using var expected = model.Weights();

        using var actual = ModelFiles.Open(model.WriteGguf(folder.File("model.gguf")));

        AssertSame(expected, actual);
        Assert.Equal("synthetic", actual.Name);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(5)]
    public void PartsAreOneModel(int parts)
    {
        using var folder = new TempFolder();
        var model = SyntheticModel.Small with { Type = TensorType.Q8_0 };
        using var expected = model.Weights();

        using var actual = ModelFiles.Open(model.WriteGguf(folder.File("model.gguf"), parts));

        AssertSame(expected, actual);
    }

    [Fact]
    public void TiedHeadsHeadSizeAndScalingAreKept()
    {
        using var folder = new TempFolder();
        var divisors = new RopeScaling.Factors([1, 1, 1.5f, 2, 4, 8, 8, 8, 8, 8, 8, 8]);
        var model = SyntheticModel.Small with
        {
            Config = SyntheticModel.Small.Config with { TiedEmbeddings = true, HeadSize = 24, RopeDimensionCount = 24, RopeScaling = divisors },
        };

        using var actual = ModelFiles.Open(model.WriteGguf(folder.File("model.gguf")));

        Assert.Equal(model.Config, actual.Config);
        Assert.Null(actual.Find(LlamaTensors.Output));
    }

    static void AssertSame(IModelWeights expected, IModelWeights actual)
    {
        Assert.Equal(expected.Config, actual.Config);
        Assert.Equal(expected.Tensors, actual.Tensors);
        foreach (var tensor in expected.Tensors)
            Assert.Equal(TensorBytes.Of(expected, tensor), TensorBytes.Of(actual, tensor));
        Assert.Equal(expected.ComputeDigest(), actual.ComputeDigest());
    }
}
