using LlamaCluster.Cli.Bench;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;
using Shard = LlamaCluster.Planning.Plans.Shard;

namespace LlamaCluster.Cli.Tests.Bench;

public sealed class StageFactsTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Of_405B_the_stages_read_all_weights_but_the_embedding_however_few_are_held(bool alike)
    {
        using var weights = new RandomWeights(ModelShape.Parse("llama-3.1-405b"), TensorType.Q4_0, layersAreAlike: alike);
        ShardProgress[] shards = [ShardOf(0, 0, 60, 0, 1, 60 * 65_536), ShardOf(1, 60, 66, 0, 2, 66 * 32_768), ShardOf(1, 60, 66, 1, 2, 66 * 32_768)];

        var stages = StageFacts.Of(shards, weights);

        // 16384 wide, 53248 feed-forward, 1024 wide keys; Q4_0 has 18 bytes for 32; two norms.
        const long Layer = (2L * 16_384 * 16_384 + 2L * 1024 * 16_384 + 3L * 53_248 * 16_384) * 18 / 32 + 2 * 16_384 * 4;
        const long Head = 128_256L * 16_384 * 18 / 32;
        Assert.Equal(
            [
                new StageFacts(new LayerRange(0, 60), 1, 60 * Layer, Layer, 60 * 65_536),
                new StageFacts(new LayerRange(60, 66), 2, 66 * Layer + Head + 16_384 * 4, Layer, 66 * 65_536),
            ],
            stages);
        Assert.Equal(BenchWeightBytes.PerStep(weights), stages.Sum(stage => stage.WeightBytes));
        Assert.Equal((alike ? 1 : 126) * Layer + 2 * Head + 16_384 * 4, BenchWeightBytes.Loaded(weights));
    }

    static ShardProgress ShardOf(int stage, int first, int count, int rank, int ranks, long kvBlockBytes)
    {
        var slice = new TensorSlice(rank, ranks);
        return new ShardProgress(
            new WorkerId($"w{stage}{rank}"), "worker", new Uri("http://127.0.0.1:1"), stage,
            new Shard(new LayerRange(first, count), slice), LoadProgress.Types.Phase.Ready, 1, 1, "")
        {
            KvBlockBytes = kvBlockBytes,
        };
    }
}
