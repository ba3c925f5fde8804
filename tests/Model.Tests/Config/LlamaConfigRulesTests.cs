using LlamaCluster.Model.Config;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Config;

public sealed class LlamaConfigRulesTests
{
    static readonly LlamaConfig Good = SyntheticModel.Small.Config;
    static readonly RopeScaling.Yarn Yarn = new(4, 64, 32, 1, 1);

    public static TheoryData<LlamaConfig, string> Bad => new()
    {
        { Good with { LayerCount = 0 }, "layer count is 0" },
        { Good with { LayerCount = int.MaxValue }, "layer count is 2147483647; it must be from 1 to 4096" },
        { Good with { HiddenSize = -1 }, "hidden size is -1" },
        { Good with { FfnSize = 1 << 30 }, "feed-forward size is 1073741824" },
        { Good with { HeadCount = 0 }, "head count is 0" },
        { Good with { KvHeadCount = 0 }, "KV head count is 0" },
        { Good with { KvHeadCount = 3 }, "head count 4 is not a multiple of KV head count 3" },
        { Good with { KvHeadCount = 8 }, "head count 4 is not a multiple of KV head count 8" },
        { Good with { Sizes = new([new(4, 2, 96)]) }, "there are sizes of 1 layers, and 3 layers" },
        { Good with { Sizes = new([new(4, 2, 64), new(4, 2, 64), new(0, 0, 0)]) },
            "the greatest sizes of layers are 4 heads, 2 KV heads and feed-forward 64, not" },
        { Good with { Sizes = new([new(4, 2, 96), new(3, 2, 64), new(0, 0, 0)]) }, "layer 1: head count 3 is not a multiple of KV head count 2" },
        { Good with { Sizes = new([new(4, 2, 96), new(4, 2, 64), new(0, 0, -1)]) }, "layer 2: 0 heads, 0 KV heads and feed-forward -1 are negative" },
        { Good with { HeadSize = 0 }, "head size is 0" },
        { Good with { HeadSize = 63 }, "head size is 63; RoPE turns pairs" },
        { Good with { HeadCount = 1 << 14, HeadSize = 1 << 12 }, "head count 16384 times head size 4096 is above" },
        { Good with { VocabularySize = 0 }, "vocabulary size is 0" },
        { Good with { ContextLength = 0 }, "context length is 0" },
        { Good with { RmsEpsilon = 0 }, "RMS epsilon is 0" },
        { Good with { RmsEpsilon = float.NaN }, "RMS epsilon is NaN" },
        { Good with { RopeTheta = float.PositiveInfinity }, "RoPE base is" },
        { Good with { RopeDimensionCount = 15 }, "RoPE dimension count is 15" },
        { Good with { RopeDimensionCount = 18 }, "RoPE dimension count is 18" },
        { Good with { RopeScaling = new RopeScaling.Linear(0) }, "RoPE scaling factor is 0" },
        { Good with { RopeScaling = new RopeScaling.Llama3(8, 4, 3, 8192) }, "high frequency factor 3 is below" },
        { Good with { RopeScaling = new RopeScaling.Llama3(8, 1, 4, 0) }, "RoPE original context length is 0" },
        { Good with { RopeScaling = Yarn with { Factor = -1 } }, "RoPE scaling factor is -1" },
        { Good with { RopeScaling = Yarn with { OriginalContextLength = 0 } }, "RoPE original context length is 0" },
        { Good with { RopeScaling = Yarn with { FastTurns = 0 } }, "YaRN's beta_fast is 0" },
        { Good with { RopeScaling = Yarn with { SlowTurns = float.NaN } }, "YaRN's beta_slow is NaN" },
        { Good with { RopeScaling = Yarn with { SlowTurns = 33 } }, "YaRN's beta_fast 32 is below its beta_slow, 33" },
        { Good with { RopeScaling = Yarn with { Magnitude = float.PositiveInfinity } }, "YaRN's attention factor is" },
        { Good with { RopeTheta = 1, RopeScaling = Yarn }, "RoPE base is 1; with YaRN it must be above 1" },
        { Good with { QueryScale = new QueryScale(0, 16, 0) }, "query scale is 0" },
        { Good with { QueryScale = new QueryScale(0.1f, 0, 0) }, "query scale span is 0" },
        { Good with { QueryScale = new QueryScale(0.1f, 16, -1) }, "query scale offset is -1; it must be 0 or 1" },
        { Good with { Window = 0 }, "sliding window is 0" },
        { Good with { Window = 64, Chunks = ChunkedAttention.Llama4 }, "sliding window and attention in chunks exclude each other" },
        { Good with { Biases = (AttentionBiases)4 }, "attention biases 4 are unknown" },
        { Good with { RopeScaling = new RopeScaling.Factors([1, 1]) }, "RoPE divisors are 2; half the RoPE dimension count is 8" },
        { Good with { RopeScaling = new RopeScaling.Factors([1, 1, 1, 0, 1, 1, 1, 1]) }, "RoPE divisor 3 is 0" },
    };

    [Fact]
    public void AGoodConfigHasNoProblem() => Assert.Null(LlamaConfigRules.FirstProblem(Good));

    [Theory]
    [MemberData(nameof(Bad))]
    public void ABadFieldIsNamed(LlamaConfig config, string expected) => Assert.Contains(expected, LlamaConfigRules.FirstProblem(config));
}
