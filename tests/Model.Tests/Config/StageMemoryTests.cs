using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Model.Tests.Inference;
using LlamaCluster.Model.Weights;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Tests.Config;

public sealed class StageMemoryTests
{
    [Theory]
    [InlineData(0, 5)]
    [InlineData(1, 2)]
    [InlineData(3, 2)]
    public void What_is_said_before_is_what_a_stage_takes(int first, int count)
    {
        using var source = TestModels.Deep.Weights();
        using var threads = new ComputeThreads(1);
        var shape = new StageShape(first, count, 5);
        var options = new StageOptions { KvBlockCount = 7, KvType = KvType.Q8_0, MaxStepRows = 50, MaxSequenceLength = 64 };
        using var weights = ShardWeights.Load(source, shape, threads, null, CancellationToken.None);
        using var stage = new StageRunner(source.Config, weights, shape, options, threads);

        var expected = (7 * StageMemory.KvBytesPerBlock(source.Config, shape, KvType.Q8_0)) + StageMemory.BufferBytes(source.Config, shape, 50);
        Assert.InRange(stage.Bytes, expected / 2, expected);
    }

    [Fact]
    public void Layers_without_attention_keep_no_KV()
    {
        var config = TestModels.Nemotron.Config;
        var head = 2L * KvBlock.Positions * config.HeadSize * 2;
        Assert.Equal(head * (2 + 1 + 4 + 2), StageMemory.KvBytesPerBlock(config, StageShape.Whole(7), KvType.F16));
        Assert.Equal(0, StageMemory.KvBytesPerBlock(config, new StageShape(1, 2, 7), KvType.F16));
    }

    [Fact]
    public void Sizes_of_a_405B_model_do_not_overflow()
    {
        var config = TestModels.Deep.Config with
        {
            LayerCount = 126,
            HiddenSize = 16384,
            FfnSize = 53248,
            HeadCount = 128,
            KvHeadCount = 8,
            HeadSize = 128,
            VocabularySize = 128_256,
        };
        Assert.Equal(126L * 2 * 16 * 8 * 128 * 2, StageMemory.KvBytesPerBlock(config, StageShape.Whole(126), KvType.F16));
        Assert.InRange(StageMemory.BufferBytes(config, StageShape.Whole(126), 4096), 4096L * 4 * 2 * 53248, 8L << 30);
        var half = TestSlices.Cut(config, [0, 64], [0, 26_624], [0, 64_128])[1];
        Assert.Null(half.FirstProblem(config));
        Assert.Equal(126L * 2 * 16 * 4 * 128 * 2, StageMemory.KvBytesPerBlock(config, StageShape.Whole(126), half, KvType.F16));
        Assert.InRange(StageMemory.BufferBytes(config, StageShape.Whole(126), half, 4096), 4096L * 4 * 2 * 26_624, 6L << 30);
    }
}
