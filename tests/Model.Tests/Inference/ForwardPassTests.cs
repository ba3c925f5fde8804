using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Model.Inference;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Inference;

public sealed class ForwardPassTests
{
    public static TheoryData<string> Shapes => [.. TestModels.Shapes.Keys];

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Logits_are_those_of_the_plain_loops(string shape)
    {
        var model = TestModels.Shapes[shape];
        var worst = WorstDifference(model, KvType.F32);
        Assert.InRange(worst, 0, 2e-5);
    }

    [Theory]
    [InlineData(TensorType.F16, KvType.F32, 2e-5)]
    [InlineData(TensorType.BF16, KvType.F32, 2e-5)]
    [InlineData(TensorType.F32, KvType.F16, 3e-3)]
    [InlineData(TensorType.F32, KvType.Q8_0, 5e-2)]
    [InlineData(TensorType.F32, KvType.Q4_0, 0.8)]
    [InlineData(TensorType.Q8_0, KvType.F32, 0.1)]
    [InlineData(TensorType.Q4_0, KvType.F32, 0.1)]
    public void Stored_types_cost_no_more_than_they_must(TensorType type, KvType kvType, double tolerance) =>
        Assert.InRange(WorstDifference(TestModels.Grouped with { Type = type }, kvType), 0, tolerance);

    [Theory]
    [InlineData(null)]
    [InlineData("llama3")]
    [InlineData("linear")]
    [InlineData("yarn")]
    [InlineData("yarn of another magnitude")]
    public void Both_forms_of_a_model_give_the_same_bits(string? scaling)
    {
        var llama3 = new RopeScaling.Llama3(8, 1, 4, 64);
        var config = SyntheticModel.Small.Config with
        {
            RopeTheta = 100,
            RopeScaling = scaling switch
            {
                "llama3" => llama3,
                "linear" => new RopeScaling.Linear(2.5f),
                "yarn" => TestModels.Yarn,
                "yarn of another magnitude" => TestModels.Yarn with { Magnitude = 1.0471f },
                _ => null,
            },
            Biases = scaling is null ? AttentionBiases.None : AttentionBiases.Inputs | AttentionBiases.Output,
        };
        var model = SyntheticModel.Small with { Config = config };
        // GGUF has no words for Llama 3's scaling: its converter stores the divisors.
        var converted = scaling == "llama3"
            ? model with { Config = config with { RopeScaling = new RopeScaling.Factors(RopeFrequencies.Llama3Divisors(config, llama3)) } }
            : model;
        using var folder = new TempFolder();
        CheckForms(converted.WriteGguf(folder.File("model.gguf")), model.WriteHuggingFace(folder.File("hf")), vocabularySize: 288);
    }

    [SharedFact("models/demo/llamacluster-demo-5m-f16.gguf")]
    public void Both_forms_of_the_demo_model_give_the_same_bits() =>
        CheckForms(SharedFiles.Shared("models/demo/llamacluster-demo-5m-f16.gguf"), SharedFiles.Demo("hf"), vocabularySize: 2048);

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    public void Any_number_of_stages_gives_the_same_bits(int stages)
    {
        using var weights = TestModels.Deep.Weights();
        var run = new ScoredRun(weights, TestModels.Tokens(50, 1), TestModels.Tokens(9, 2)) { Together = true, ChunkSize = 20 };
        AssertSameBits(run.Run(), (run with { Stages = stages }).Run(), $"{stages} stages");
    }

    [Theory]
    [InlineData(KvType.F32, TensorType.F32)]
    [InlineData(KvType.F16, TensorType.Q8_0)]
    [InlineData(KvType.Q8_0, TensorType.Q4_0)]
    [InlineData(KvType.Q4_0, TensorType.F32)]
    public void A_sequence_has_the_same_bits_in_any_company_chunks_and_threads(KvType kvType, TensorType type)
    {
        using var weights = (TestModels.Grouped with { Type = type }).Weights();
        int[][] sequences = [TestModels.Tokens(100, 1), TestModels.Tokens(1, 2), TestModels.Tokens(33, 3), TestModels.Tokens(64, 4)];
        var alone = new ScoredRun(weights, sequences) { KvType = kvType };
        var expected = alone.Run();
        foreach (var chunkSize in new[] { 1, 2, 3, 7, 16, 17, 64 })
            foreach (var threads in new[] { 1, 2, 3, 4 })
            {
                var together = alone with { Together = true, ChunkSize = chunkSize, Threads = threads };
                AssertSameBits(expected, together.Run(), $"chunks of {chunkSize}, {threads} threads");
            }
    }

    public static TheoryData<TensorType> Types => [.. Enum.GetValues<TensorType>()];

    [Theory]
    [MemberData(nameof(Types))]
    public void No_type_lets_a_row_depend_on_company_chunks_or_threads(TensorType type) => CheckType(type, "");

    [Theory]
    [MemberData(nameof(Types))]
    public void No_type_lets_a_row_of_an_expert_depend_on_company_chunks_or_threads(TensorType type) => CheckType(type, ",experts=6");

    static void CheckType(TensorType type, string experts)
    {
        // Rows are whole blocks of 256, so that there is a matrix of every type.
        using var weights = new RandomWeights(ModelShape.Parse($"hidden=256,layers=2,ffn=512,heads=4,kv-heads=2,vocab={TestModels.Vocabulary}{experts}"), type);
        int[][] sequences = [TestModels.Tokens(64, 1), TestModels.Tokens(1, 2), TestModels.Tokens(37, 3)];
        var alone = new ScoredRun(weights, sequences) { KvType = KvType.F16 };
        var expected = alone.Run();
        foreach (var chunkSize in new[] { 1, 5, 16, 64 })
            foreach (var threads in new[] { 1, 3 })
                AssertSameBits(expected, (alone with { Together = true, ChunkSize = chunkSize, Threads = threads }).Run(),
                    $"{type}{experts}, chunks of {chunkSize}, {threads} threads");
    }

    public static TheoryData<string, TensorType> KindsOfLayers => new()
    {
        { "yarn", TensorType.F32 }, { "biases", TensorType.Q8_0 }, { "mistral 3", TensorType.F32 }, { "mistral 3 with a window and biases", TensorType.Q8_0 },
        { "sliding window", TensorType.F32 }, { "sliding window", TensorType.Q8_0 }, { "nemotron with biases, of fewer heads", TensorType.F32 },
        { "nemotron", TensorType.Q4_0 },
        { "mixtral", TensorType.F32 }, { "mixtral", TensorType.Q8_0 }, { "mixtral", TensorType.Q4_0 },
        { "llama 4", TensorType.F32 }, { "llama 4", TensorType.Q8_0 },
    };

    [Theory]
    [MemberData(nameof(KindsOfLayers))]
    public void Rows_of_all_kinds_of_layers_have_the_same_bits_in_any_company_chunks_threads_and_stages(string shape, TensorType type)
    {
        using var weights = (TestModels.Shapes[shape] with { Type = type }).Weights();
        int[][] sequences = [TestModels.Tokens(100, 1), TestModels.Tokens(1, 2), TestModels.Tokens(33, 3), TestModels.Tokens(64, 4)];
        var alone = new ScoredRun(weights, sequences);
        var expected = alone.Run();
        foreach (var (chunkSize, threads, stages) in new[] { (1, 1, 1), (3, 2, 2), (7, 1, 3), (17, 3, 1), (64, 2, 2), (100, 1, 3) })
        {
            var together = alone with { Together = true, ChunkSize = chunkSize, Threads = threads, Stages = stages };
            AssertSameBits(expected, together.Run(), $"{shape} {type}, chunks of {chunkSize}, {threads} threads, {stages} stages");
        }
    }

    static void CheckForms(string ggufPath, string folderPath, int vocabularySize)
    {
        using var gguf = ModelFiles.Open(ggufPath);
        using var folder = ModelFiles.Open(folderPath);
        var random = new Random(1);
        var tokens = Enumerable.Range(0, 40).Select(_ => random.Next(vocabularySize)).ToArray();
        AssertSameBits(new ScoredRun(gguf, tokens).Run(), new ScoredRun(folder, tokens).Run(), "Hugging Face folder");
    }

    static double WorstDifference(SyntheticModel model, KvType kvType)
    {
        using var weights = model.Weights();
        var tokens = TestModels.Tokens(70, 5);
        var scores = new ScoredRun(weights, tokens) { KvType = kvType, ChunkSize = 30, Threads = 2 }.Run()[0];
        var reference = new ReferenceModel(weights);
        var expected = tokens.SelectMany(token => ReferenceModel.LogSoftmax(reference.Next(token))).ToArray();
        Assert.Equal(expected.Length, scores.Length);
        return expected.Zip(scores, (e, s) => Math.Abs(e - s)).Max();
    }

    static void AssertSameBits(float[][] expected, float[][] actual, string what)
    {
        for (var s = 0; s < expected.Length; s++)
            Assert.True(expected[s].AsSpan().SequenceEqual(actual[s]), $"{what}: sequence {s} has other log-probabilities");
    }
}
