using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>Synthetic models of different shapes with few enough ids that all their log-probabilities can be asked for.</summary>
static class TestModels
{
    public const int Vocabulary = 20;

    public static SyntheticModel Grouped { get; } = SyntheticModel.Small with { Config = SyntheticModel.Small.Config with { VocabularySize = Vocabulary } };

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
        ["odd widths"] = With(c => c with { HiddenSize = 50, FfnSize = 75, HeadCount = 6, KvHeadCount = 3, HeadSize = 18, RopeDimensionCount = 18 }),
        ["one layer"] = With(c => c with { LayerCount = 1 }),
    };

    /// <summary>Random ids, different for each seed.</summary>
    public static int[] Tokens(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(Vocabulary))];
    }

    static SyntheticModel With(Func<LlamaConfig, LlamaConfig> change) => Grouped with { Config = change(Grouped.Config) };
}
