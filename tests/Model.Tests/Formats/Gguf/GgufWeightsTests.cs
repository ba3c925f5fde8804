using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Model.Tests.Formats.Gguf;

public sealed class GgufWeightsTests
{
    [Fact]
    public void ReadsTheDemoModel()
    {
        using var weights = ModelFiles.Open(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"));

        Assert.Equal(
            new LlamaConfig
            {
                LayerCount = 8,
                HiddenSize = 256,
                FfnSize = 512,
                HeadCount = 8,
                KvHeadCount = 4,
                HeadSize = 32,
                VocabularySize = 2048,
                ContextLength = 512,
                RmsEpsilon = 1e-5f,
                RopeTheta = 10_000,
                RopeDimensionCount = 32,
                TiedEmbeddings = true,
            },
            weights.Config);
        Assert.Equal(74, weights.Tensors.Count);
        Assert.Equal(new TensorInfo("blk.7.attn_k.weight", TensorType.Q8_0, 128, 256), weights.Find("blk.7.attn_k.weight"));
        Assert.Null(weights.Find("output.weight"));
    }

    [SharedFact("models/stories260K.gguf")]
    public void ReadsAFileOfLlamaCpp()
    {
        using var weights = ModelFiles.Open(SharedFiles.Shared("models/stories260K.gguf"));

        Assert.Equal(5, weights.Config.LayerCount);
        Assert.Equal(512, weights.Config.VocabularySize);
        Assert.All(weights.Tensors, tensor => Assert.Equal(TensorType.F32, tensor.Type));
    }

    [Fact]
    public void RowsDoNotDependOnHowManyAreReadAtOnce()
    {
        using var weights = ModelFiles.Open(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"));
        var tensor = weights.Find("blk.3.ffn_down.weight")!;
        var all = new byte[tensor.Bytes];
        weights.ReadRows(tensor, 0, all);

        var row = new byte[tensor.RowBytes];
        for (var i = 0; i < tensor.Rows; i++)
        {
            weights.ReadRows(tensor, i, row);
            Assert.True(row.AsSpan().SequenceEqual(all.AsSpan(i * row.Length, row.Length)));
        }
    }

    [Fact]
    public void RefusesRowsThatAreNotThere()
    {
        using var weights = ModelFiles.Open(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"));
        var tensor = weights.Find("output_norm.weight")!;

        Assert.Throws<ArgumentOutOfRangeException>(() => weights.ReadRows(tensor, 1, new byte[tensor.RowBytes]));
        Assert.Throws<ArgumentException>(() => weights.ReadRows(tensor, 0, new byte[tensor.RowBytes - 1]));
        Assert.Throws<ArgumentException>(() => weights.ReadRows(tensor with { Rows = 2 }, 0, new byte[tensor.RowBytes]));
    }
}
