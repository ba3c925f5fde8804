using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>Synthetic models of different shapes with few enough ids that all their log-probabilities can be asked for.</summary>
static class TestModels
{
    public const int Vocabulary = 20;

    public static SyntheticModel Grouped { get; } = SyntheticModel.Small with { Config = SyntheticModel.Small.Config with { VocabularySize = Vocabulary } };

    /// <summary>Mixtral's layers: the two best of five experts.</summary>
    public static SyntheticModel Mixtral { get; } = With(c => c with
    {
        Experts = new ExpertMixture { Count = 5, UsedCount = 2, FfnSize = 96, LayerStep = 1, Gate = ExpertGate.Softmax, HasShared = false },
    });

    /// <summary>Llama 4's layers in small: dense, experts, dense, experts, dense; two of chunks of 32 positions, one of all, two of chunks.</summary>
    public static SyntheticModel Llama4 { get; } = With(c => c with
    {
        LayerCount = 5,
        Experts = new ExpertMixture { Count = 7, UsedCount = 1, FfnSize = 64, LayerStep = 2, Gate = ExpertGate.Sigmoid, HasShared = true },
        Chunks = new ChunkedAttention(ChunkSize: 32, FullLayerStep: 3),
        QueryScale = new QueryScale(Growth: 0.1f, Span: 16, Offset: 1),
        NormsHeads = true,
    });

    /// <summary>Pairs 0 and 1 keep their frequency at theta 100 and 16 dimensions, 6 and 7 have a quarter of it.</summary>
    public static RopeScaling.Yarn Yarn { get; } = new(Factor: 4, OriginalContextLength: 64, FastTurns: 4, SlowTurns: 0.5f, RopeScaling.Yarn.MagnitudeOf(4));

    /// <summary>Mistral 3's layers: YaRN without its growth of queries and keys, and queries that grow with their position in all layers.</summary>
    public static SyntheticModel Mistral3 { get; } = With(c => c with
    {
        RopeTheta = 100,
        RopeScaling = Yarn with { OriginalContextLength = 16, Magnitude = 1 },
        QueryScale = new QueryScale(Growth: 0.3f, Span: 16, Offset: 0),
    });

    /// <summary>
    /// Nemotron's layers: of different sizes, without attention, with a matrix in its place, without feed-forward, and one with nothing at all.
    /// </summary>
    public static SyntheticModel Nemotron { get; } = With(c => c with
    {
        LayerCount = 7,
        KvHeadCount = 4,
        FfnSize = 192,
        Sizes = new SizesOfLayers([new(4, 2, 192), new(4, 0, 96), new(0, 0, 192), new(4, 1, 0), new(0, 0, 0), new(4, 4, 96), new(4, 2, 0)]),
    });

    /// <summary>Five layers, to be split.</summary>
    public static SyntheticModel Deep { get; } = Grouped with { Config = Grouped.Config with { LayerCount = 5 }, Type = TensorType.Q8_0 };

    public static IReadOnlyDictionary<string, SyntheticModel> Shapes { get; } = new Dictionary<string, SyntheticModel>
    {
        ["grouped heads"] = Grouped,
        ["as many kv heads"] = With(c => c with { KvHeadCount = 4 }),
        ["one kv head"] = With(c => c with { KvHeadCount = 1 }),
        ["heads wider than hidden / heads"] = With(c => c with { HeadSize = 24, RopeDimensionCount = 24 }),
        ["narrow heads"] = With(c => c with { HeadSize = 8, RopeDimensionCount = 8 }),
        ["tied embeddings"] = With(c => c with { TiedEmbeddings = true }),
        ["partly rotated"] = With(c => c with { RopeDimensionCount = 10 }),
        ["linear scaling"] = With(c => c with { RopeScaling = new RopeScaling.Linear(4) }),
        ["llama 3 scaling"] = With(c => c with { RopeTheta = 100, RopeScaling = new RopeScaling.Llama3(8, 1, 4, 64) }),
        ["stored divisors"] = With(c => c with { RopeScaling = new RopeScaling.Factors([1, 1, 1.5f, 2, 3, 5, 8, 8]) }),
        ["yarn"] = With(c => c with { RopeTheta = 100, RopeScaling = Yarn }),
        ["yarn of a magnitude of its own, partly rotated"] =
            With(c => c with { RopeDimensionCount = 10, RopeTheta = 50, RopeScaling = Yarn with { Magnitude = 0.8f } }),
        ["biases"] = With(c => c with { Biases = AttentionBiases.Inputs | AttentionBiases.Output }),
        ["biases of inputs"] = With(c => c with { Biases = AttentionBiases.Inputs, KvHeadCount = 1 }),
        ["a bias of the output"] = With(c => c with { Biases = AttentionBiases.Output }),
        ["mistral 3"] = Mistral3,
        ["mistral 3 with a window and biases"] = Mistral3 with
        {
            Config = Mistral3.Config with
            {
                Window = 30,
                Biases = AttentionBiases.Inputs,
                RopeScaling = Yarn with { Magnitude = RopeScaling.Yarn.MagnitudeOf(4) },
            },
        },
        ["sliding window"] = With(c => c with { Window = 20 }),
        ["sliding window of experts"] = Mixtral with { Config = Mixtral.Config with { Window = 33 } },
        ["odd widths"] = With(c => c with { HiddenSize = 50, FfnSize = 75, HeadCount = 6, KvHeadCount = 3, HeadSize = 18, RopeDimensionCount = 18 }),
        ["one layer"] = With(c => c with { LayerCount = 1 }),
        ["nemotron"] = Nemotron,
        ["nemotron with biases, of fewer heads"] = Nemotron with
        {
            Config = Nemotron.Config with
            {
                Biases = AttentionBiases.Inputs | AttentionBiases.Output,
                Sizes = new SizesOfLayers([new(2, 1, 96), .. Nemotron.Config.Sizes!.Skip(1)]),
            },
        },
        ["mixtral"] = Mixtral,
        ["llama 4"] = Llama4,
        ["llama 4 without norms, two experts used"] = Llama4 with
        {
            Config = Llama4.Config with { NormsHeads = false, Experts = Llama4.Config.Experts! with { UsedCount = 2, LayerStep = 1 } },
        },
    };

    /// <summary>Random ids, different for each seed.</summary>
    public static int[] Tokens(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(Vocabulary))];
    }

    static SyntheticModel With(Func<LlamaConfig, LlamaConfig> change) => Grouped with { Config = change(Grouped.Config) };
}
