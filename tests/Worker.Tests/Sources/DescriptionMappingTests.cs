using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;
using LlamaCluster.Testing.Models;
using LlamaCluster.Worker.Sources;
using LlamaCluster.Worker.Tests.Fakes;
using Kind = LlamaCluster.Protos.RopeScalingMessage.Types.Kind;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Sources;

public class DescriptionMappingTests
{
    static readonly SyntheticModel Model = SyntheticModel.Small with { Type = TensorType.Q4_0 };

    static readonly SyntheticModel WithExperts = Model with
    {
        Config = Model.Config with
        {
            Experts = new ExpertMixture { Count = 8, UsedCount = 1, FfnSize = 32, LayerStep = 2, Gate = ExpertGate.Sigmoid, HasShared = true },
            Chunks = new ChunkedAttention(32, 3),
            QueryScale = new QueryScale(0.5f, 16, 1),
            NormsHeads = true,
        },
    };

    static readonly Dictionary<string, SyntheticModel> Kinds = new()
    {
        ["experts"] = WithExperts,
        ["yarn"] = With(c => c with { RopeScaling = new RopeScaling.Yarn(4, 64, 16, 2, 0.9f) }),
        ["biases"] = With(c => c with { Biases = AttentionBiases.Inputs | AttentionBiases.Output }),
        ["query scale"] = With(c => c with { QueryScale = new QueryScale(0.2f, 16, 0) }),
        ["sizes of layers"] = With(c => c with { Sizes = new SizesOfLayers([new(4, 2, 96), new(4, 0, 32), new(0, 0, 0)]) }),
        ["window"] = With(c => c with { Window = 20 }),
        ["biases of inputs"] = With(c => c with { Biases = AttentionBiases.Inputs }),
    };

    [Fact]
    public async Task ToModel_OfADescribedModel_IsThatModel()
    {
        using var weights = (Model with { Config = Model.Config with { RopeScaling = new RopeScaling.Linear(4) } }).Weights();
        var served = new FakeWeights(weights);
        var described = (await DescribeAsync(served)).ToModel(served.Digest);
        Assert.Equal(weights.Config, described.Config);
        Assert.Equal(weights.Tensors, described.Tensors);
        Assert.Null(described.RopeFactors);
    }

    public static TheoryData<string> KindsOfModels => [.. Kinds.Keys];

    [Theory]
    [MemberData(nameof(KindsOfModels))]
    public async Task ToModel_OfAnyKindOfModel_IsThatModel(string kind)
    {
        using var weights = Kinds[kind].Weights();
        var served = new FakeWeights(weights);
        var described = (await DescribeAsync(served)).ToModel(served.Digest);
        Assert.Equal(weights.Config, described.Config);
        Assert.Equal(weights.Tensors, described.Tensors);
    }

    public static TheoryData<string, Action<Wire.ModelDescription>> WrongExperts => new()
    {
        { "experts.count", d => d.Config.Experts.Count = uint.MaxValue },
        { "expert count is 2000000000", d => d.Config.Experts.Count = 2_000_000_000 },
        { "used expert count", d => d.Config.Experts.UsedCount = 9 },
        { "expert feed-forward size", d => d.Config.Experts.FfnSize = int.MaxValue },
        { "experts.layer_step", d => d.Config.Experts.LayerStep = 0 },
        { "experts.gate 0", d => d.Config.Experts.Gate = 0 },
        { "experts.gate 7", d => d.Config.Experts.Gate = (Wire.ExpertMixtureMessage.Types.Gate)7 },
        { "chunk_size", d => d.Config.Chunks.ChunkSize = 0 },
        { "attention chunk size is 24", d => d.Config.Chunks.ChunkSize = 24 },
        { "full attention layer step", d => d.Config.Chunks.FullLayerStep = 1 << 20 },
        { "query scale is NaN", d => d.Config.QueryScale.Growth = float.NaN },
        { "query_scale.span", d => d.Config.QueryScale.Span = 0 },
        { "query scale offset is 2", d => d.Config.QueryScale.Offset = 2 },
        { "blk.1.ffn_gate.weight is missing", d => d.Config.Experts = null },
        { "blk.1.ffn_up.3.weight is missing", d => d.Tensors.Remove(d.Tensors.Single(t => t.Name == "blk.1.ffn_up.3.weight")) },
    };

    [Theory]
    [MemberData(nameof(WrongExperts))]
    public async Task ToModel_OneThingWrongWithExperts_NamesItInOneLine(string named, Action<Wire.ModelDescription> change)
    {
        using var weights = WithExperts.Weights();
        var served = new FakeWeights(weights) { OnDescribe = change };
        var description = await DescribeAsync(served);
        var e = Assert.Throws<InvalidMessageException>(() => description.ToModel(served.Digest));
        Assert.Contains(named, e.Message);
        Assert.DoesNotContain('\n', e.Message);
    }

    public static TheoryData<string, Action<Wire.ModelDescription>> Wrong => new()
    {
        { "model_digest", d => d.ModelDigest = new string('0', 64) },
        { "model_digest", d => d.ModelDigest = "\n" },
        { "config is not set", d => d.Config = null },
        { "layer_count", d => d.Config.LayerCount = uint.MaxValue },
        { "layer count", d => d.Config.LayerCount = int.MaxValue },
        { "hidden_size", d => d.Config.HiddenSize = 0 },
        { "head count", d => d.Config.KvHeadCount = 3 },
        { "RMS epsilon", d => d.Config.RmsEpsilon = float.NaN },
        { "RoPE base", d => d.Config.RopeTheta = -1 },
        { "there are sizes of 1 layers, and 3 layers", d => d.Config.Sizes.Add(new Wire.LayerSizesMessage()) },
        { "config.sizes.head_count", d => d.Config.Sizes.Add(new Wire.LayerSizesMessage { HeadCount = uint.MaxValue }) },
        { "rope_scaling.kind 0", d => d.Config.RopeScaling = new Wire.RopeScalingMessage() },
        { "RoPE scaling factor", d => d.Config.RopeScaling = new Wire.RopeScalingMessage { Kind = Kind.Linear } },
        { "original_context_length", d => d.Config.RopeScaling = new Wire.RopeScalingMessage { Kind = Kind.Llama3, Factor = 8 } },
        { "rope_freqs.weight is missing", d => d.Config.RopeScaling = new Wire.RopeScalingMessage { Kind = Kind.Factors } },
        { "blk.0.attn_q.weight is missing", d => d.Tensors.Remove(d.Tensors.Single(t => t.Name == "blk.0.attn_q.weight")) },
        { "stands there twice", d => d.Tensors.Add(d.Tensors[0].Clone()) },
        { "has shape", d => d.Tensors[1].Columns = ulong.MaxValue },
        { "type 4294967295", d => d.Tensors[2].Type = uint.MaxValue },
        { "type 4,", d => d.Tensors[2].Type = 4 },
        { "not whole Q2_K blocks", d => d.Tensors[2].Type = (uint)TensorType.Q2_K },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task ToModel_OneThingWrong_NamesItInOneLine(string named, Action<Wire.ModelDescription> change)
    {
        using var weights = Model.Weights();
        var served = new FakeWeights(weights) { OnDescribe = change };
        var description = await DescribeAsync(served);
        var e = Assert.Throws<InvalidMessageException>(() => description.ToModel(served.Digest));
        Assert.Contains(named, e.Message);
        Assert.DoesNotContain('\n', e.Message);
    }

    [Fact]
    public async Task ToModel_TensorsOfNoLlama_AreLeftOut()
    {
        using var weights = Model.Weights();
        var served = new FakeWeights(weights)
        {
            OnDescribe = d => d.Tensors.Add(new Wire.TensorDescription { Name = "../../../etc/passwd", Rows = 1, Columns = 32 }),
        };
        Assert.Equal(weights.Tensors, (await DescribeAsync(served)).ToModel(served.Digest).Tensors);
    }

    static Task<Wire.ModelDescription> DescribeAsync(FakeWeights served) =>
        served.Describe(new Wire.DescribeModelRequest { ModelDigest = served.Digest }, NoContext);

    // The fake looks at the request only.
    static ServerCallContext NoContext => null!;

    static SyntheticModel With(Func<LlamaConfig, LlamaConfig> change) => Model with { Config = change(Model.Config) };
}
