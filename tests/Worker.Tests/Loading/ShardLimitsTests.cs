using LlamaCluster.Model.Config;
using LlamaCluster.Worker.Loading;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Loading;

public class ShardLimitsTests
{
    [Theory]
    [InlineData(1000, 0, 10, 50, 1 << 20, 50)]             // what is asked for
    [InlineData(1000, 500, 10, null, 1 << 20, 50)]         // what fits
    [InlineData(1000, 500, 10, 51, 1 << 20, 50)]           // what fits, though more was asked for
    [InlineData(1000, 0, 10, null, 16, 64)]                // no more than 64 sequences of full length need
    [InlineData(long.MaxValue, 0, 1, null, 1 << 27, 536_870_912)]
    [InlineData(2_000_000_000_000, 80_000_000_000, 42 * 65_536, null, 131_072, 524_288)]   // a third of a 405B model: 1.4 TB
    public void KvBlocks_ThereIsRoom_GivesThem(long memory, long taken, long blockBytes, int? wanted, int maxLength, int blocks) =>
        Assert.Equal((blocks, null), ShardLimits.KvBlocks(memory, taken, blockBytes, wanted, maxLength));

    [Theory]
    [InlineData(1000, 995)]
    [InlineData(1000, 2000)]
    public void KvBlocks_ThereIsNoRoom_ShowsTheArithmetic(long memory, long taken)
    {
        var (blocks, problem) = ShardLimits.KvBlocks(memory, taken, 10, 50, 16);
        Assert.Equal(
            (0, $"{taken} bytes of weights and buffers and one KV block of 10 bytes do not fit in the 1000 bytes this worker may use"),
            (blocks, problem));
    }

    [Theory]
    [InlineData("llama-3.1-405b", Wire.ActivationType.F32, 32_767)]    // of 65536 bytes each
    [InlineData("llama-3.1-405b", Wire.ActivationType.Bf16, 40_329)]   // of 53248 feed-forward numbers each
    [InlineData("llama-3.1-8b", Wire.ActivationType.F32, 131_071)]
    public void StepRows_OfAModel_AreWhatOneSpanHolds(string shape, Wire.ActivationType type, int rows) =>
        Assert.Equal(rows, ShardLimits.StepRows(ModelShape.Parse(shape).Config, type));
}
