using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Local;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using Xunit.Abstractions;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>
/// Stages that are split over ranks give llama.cpp's tokens on the fixture models, and log-probabilities within the tolerances that
/// docs/numerics.md commits to of those that one worker gives.
/// </summary>
public sealed class TensorSplitTests(ITestOutputHelper output)
{
    /// <summary>Between sums in different orders.</summary>
    const double FloatTolerance = 1e-4;

    /// <summary>Of quantised files a last bit decides which integer an activation is rounded to.</summary>
    const double QuantizedTolerance = 0.05;

    /// <summary>The 20 best ids are less probable than the chosen one, and their logits no nearer: times the chosen ids' tolerance.</summary>
    const double TopTolerance = 6;

    /// <summary>Ids of a model whose head three ranks can share.</summary>
    const int ForThreeRanks = 36;

    static readonly string[] Splits = ["2", "3", "5", "uneven", "stages of 2, 1 and 2"];

    [SharedFact("models/stories260K.gguf")]
    public void Stories_260K() => Check("stories260K-f32kv", SharedFiles.Shared("models/stories260K.gguf"), FloatTolerance);

    [Fact]
    public void Demo_as_Hugging_Face_folder() => Check("demo-f16", SharedFiles.Demo("hf"), FloatTolerance);

    [Fact]
    public void Demo_in_q8_0() => Check("demo-q8_0", SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"), QuantizedTolerance);

    [SharedFact("models/demo/llamacluster-demo-5m-q4_0.gguf")]
    public void Demo_in_q4_0() => Check("demo-q4_0", SharedFiles.Shared("models/demo/llamacluster-demo-5m-q4_0.gguf"), QuantizedTolerance);

    [Fact]
    public void Demo_in_q4_k_m() => Check("demo-q4_k_m", SharedFiles.Demo("llamacluster-demo-5m-q4_k_m.gguf"), QuantizedTolerance, tie: 0.02);

    [SharedFact("models/demo/llamacluster-demo-5m-q6_k.gguf")]
    public void Demo_in_q6_k() => Check("demo-q6_k", SharedFiles.Shared("models/demo/llamacluster-demo-5m-q6_k.gguf"), QuantizedTolerance);

    [Theory]
    [InlineData(TensorType.F32, KvType.F32)]
    [InlineData(TensorType.Q8_0, KvType.F16)]
    [InlineData(TensorType.Q4_0, KvType.Q8_0)]
    [InlineData(TensorType.Q8_0, KvType.Q4_0)]
    public void A_sequence_has_the_same_bits_in_any_company_and_chunks(TensorType type, KvType kvType)
    {
        using var weights = (TestModels.Grouped with { Type = type }).Weights();
        int[][] sequences = [TestModels.Tokens(100, 1), TestModels.Tokens(1, 2), TestModels.Tokens(33, 3), TestModels.Tokens(64, 4)];
        var plan = new LocalStagePlan(StageShape.Whole(3), TestSlices.Cut(weights.Config, [0, 2], [0, 32], [0, 16]));
        var alone = new ScoredRun(weights, sequences) { KvType = kvType, Plan = [plan] };
        var expected = alone.Run();
        foreach (var chunkSize in new[] { 1, 3, 17, 64 })
        {
            var together = (alone with { Together = true, ChunkSize = chunkSize }).Run();
            for (var s = 0; s < sequences.Length; s++) Assert.Equal(expected[s], together[s]);
        }
    }

    /// <summary>Of quantised files a last bit also decides, now and then, between two experts: there only the mean is held.</summary>
    [Theory]
    [InlineData("mixtral", TensorType.F32, 48, 2e-5, 1e-4)]
    [InlineData("mixtral", TensorType.Q8_0, 32, 0.005, 0.05)]
    [InlineData("llama 4", TensorType.F32, 16, 2e-5, 1e-4)]
    [InlineData("llama 4", TensorType.Q8_0, 32, 0.005, 1)]
    [InlineData("llama 4", TensorType.Q8_0, 40, 0.005, 1)]
    public void Ranks_share_every_expert(string shape, TensorType type, int cut, double mean, double tolerance)
    {
        using var weights = (TestModels.Shapes[shape] with { Type = type }).Weights();
        int[][] sequences = [TestModels.Tokens(90, 1), TestModels.Tokens(1, 2), TestModels.Tokens(33, 3)];
        var whole = new ScoredRun(weights, sequences);
        var slices = TestSlices.Cut(weights.Config, [0, 2], [0, 32], [0, 16], experts: [0, cut]);
        var split = whole with { Plan = [new LocalStagePlan(StageShape.Whole(weights.Config.LayerCount), slices)] };
        var (expected, actual) = (whole.Run(), split.Run());
        for (var s = 0; s < sequences.Length; s++) Assert.InRange(Worst(expected[s], actual[s]), 0, tolerance);
        Assert.InRange(expected.Zip(actual).SelectMany(pair => pair.First.Zip(pair.Second, (a, b) => Math.Abs(a - b))).Average(), 0, mean);
        foreach (var chunkSize in new[] { 1, 17 })
            Assert.Equal(actual, (split with { Together = true, ChunkSize = chunkSize }).Run());
    }

    /// <summary>The same where a rank has experts whole. Uneven: of five experts one, one and three.</summary>
    [Theory]
    [InlineData("mixtral", TensorType.F32, 2e-5, 1e-4, 0, 2)]
    [InlineData("mixtral", TensorType.F32, 2e-5, 1e-4, 0, 1, 2)]
    [InlineData("mixtral", TensorType.Q8_0, 0.005, 0.05, 0, 3)]
    [InlineData("llama 4", TensorType.F32, 2e-5, 1e-4, 0, 4)]
    [InlineData("llama 4", TensorType.F32, 2e-5, 1e-4, 0, 1, 5)]
    [InlineData("llama 4 without norms, two experts used", TensorType.F32, 2e-5, 1e-4, 0, 3)]
    public void Ranks_have_whole_experts(string shape, TensorType type, double mean, double tolerance, params int[] experts)
    {
        var model = TestModels.Shapes[shape];
        using var weights = (model with { Config = model.Config with { VocabularySize = ForThreeRanks }, Type = type }).Weights();
        int[][] sequences = [TestModels.Tokens(90, 1), TestModels.Tokens(1, 2), TestModels.Tokens(33, 3)];
        var whole = new ScoredRun(weights, sequences);
        var slices = WithWholeExperts(weights.Config, experts);
        var layers = weights.Config.LayerCount;
        var split = whole with { Plan = [new LocalStagePlan(StageShape.Whole(layers), slices)] };
        var (expected, actual) = (whole.Run(), split.Run());
        for (var s = 0; s < sequences.Length; s++) Assert.InRange(Worst(expected[s], actual[s]), 0, tolerance);
        Assert.InRange(expected.Zip(actual).SelectMany(pair => pair.First.Zip(pair.Second, (a, b) => Math.Abs(a - b))).Average(), 0, mean);
        foreach (var chunkSize in new[] { 1, 17 })
            Assert.Equal(actual, (split with { Together = true, ChunkSize = chunkSize }).Run());
        LocalStagePlan[] stages = [new(new StageShape(0, 2, layers), slices), new(new StageShape(2, layers - 2, layers), slices)];
        Assert.Equal(actual, (split with { Plan = stages }).Run());
    }

    /// <summary>
    /// What ranks with whole experts add up are the very outputs of experts that one worker adds up. So where nothing else is shared between ranks, and no
    /// row has three terms whose order counts, the bits are one worker's, wherever the experts are. The last layer and the head, whose normaliser ranks
    /// add up, are one worker's.
    /// </summary>
    [Theory]
    [InlineData(ExpertGate.Softmax, 2, TensorType.F32)]
    [InlineData(ExpertGate.Softmax, 2, TensorType.Q8_0)]
    [InlineData(ExpertGate.Sigmoid, 1, TensorType.Q8_0)]
    [InlineData(ExpertGate.Sigmoid, 2, TensorType.F32)]
    public void Whole_experts_alone_give_the_bits_of_one_worker(ExpertGate gate, int used, TensorType type)
    {
        var config = TestModels.Mixtral.Config with { VocabularySize = ForThreeRanks };
        config = config with { Experts = config.Experts! with { Gate = gate, UsedCount = used } };
        using var weights = new SilentAttention((TestModels.Mixtral with { Config = config, Type = type }).Weights());
        var whole = new ScoredRun(weights, TestModels.Tokens(90, 1), TestModels.Tokens(33, 3));
        var expected = whole.Run();
        foreach (var experts in new int[][] { [0, 1], [0, 2], [0, 4], [0, 1, 3], [0, 2, 4] })
        {
            LocalStagePlan[] stages =
            [
                new(new StageShape(0, config.LayerCount - 1, config.LayerCount), WithWholeExperts(config, experts)),
                new(new StageShape(config.LayerCount - 1, 1, config.LayerCount), []),
            ];
            Assert.Equal(expected, (whole with { Plan = stages }).Run());
        }
    }

    /// <summary>Two or three ranks, with heads, columns and ids shared as evenly as they can be.</summary>
    static StageSlice[] WithWholeExperts(LlamaConfig config, int[] experts) => experts.Length == 2
        ? TestSlices.Cut(config, [0, 2], [0, 32], [0, 16], [0, 32], experts)
        : TestSlices.Cut(config, [0, 1, 2], [0, 32, 64], [0, 16, 32], [0, 16, 32], experts);

    [Theory]
    [InlineData("biases")]
    [InlineData("yarn")]
    [InlineData("sliding window")]
    [InlineData("mistral 3")]
    [InlineData("nemotron")]
    [InlineData("nemotron with biases, of fewer heads")]
    public void Ranks_share_any_kind_of_layers(string shape)
    {
        using var weights = TestModels.Shapes[shape].Weights();
        int[][] sequences = [TestModels.Tokens(90, 1), TestModels.Tokens(1, 2), TestModels.Tokens(33, 3)];
        var whole = new ScoredRun(weights, sequences);
        var split = whole with
        {
            Plan = [new LocalStagePlan(StageShape.Whole(weights.Config.LayerCount), TestSlices.Cut(weights.Config, [0, 2], [0, 32], [0, 16]))],
        };
        var (expected, actual) = (whole.Run(), split.Run());
        for (var s = 0; s < sequences.Length; s++) Assert.InRange(Worst(expected[s], actual[s]), 0, FloatTolerance);
        foreach (var chunkSize in new[] { 1, 17 })
            Assert.Equal(actual, (split with { Together = true, ChunkSize = chunkSize }).Run());
    }

    [Fact]
    public void Heads_and_columns_may_be_cut_within_blocks()
    {
        var config = TestModels.Grouped.Config with { KvHeadCount = 1 };
        using var weights = (TestModels.Grouped with { Type = TensorType.Q8_0, Config = config }).Weights();
        var whole = new ScoredRun(weights, TestModels.Tokens(60, 5));
        // Query head 1 shares a block of O with head 0, and column 40 one of down with column 39.
        var split = whole with { Plan = [new LocalStagePlan(StageShape.Whole(3), TestSlices.Cut(weights.Config, [0, 1], [0, 40], [0, 16]))] };
        Assert.InRange(Worst(whole.Run()[0], split.Run()[0]), 1e-9, 0.1);
    }

    [Theory]
    [InlineData(0f, 1f)]
    [InlineData(1f, 1f)]
    [InlineData(1.5f, 0.9f)]
    public void Ranks_sample_what_one_worker_samples(float temperature, float topP)
    {
        using var weights = TestModels.Grouped.Weights();
        var sampling = new SamplingOptions
        {
            Temperature = temperature,
            TopP = topP,
            Seed = 11,
            RepetitionPenalty = 1.2f,
            FrequencyPenalty = 0.4f,
            LogitBias = new Dictionary<int, float> { [3] = 1, [17] = 2 },
            TopLogprobs = 5,
        };
        LocalStagePlan[] plan = [new(StageShape.Whole(3), TestSlices.Cut(weights.Config, [0, 2], [0, 64], [0, 16]))];
        using var whole = new LocalGenerator(weights, new LocalGeneratorOptions { Threads = 1, KvType = KvType.F32 });
        using var split = new LocalGenerator(weights, new LocalGeneratorOptions { Plan = plan, KvType = KvType.F32, MaxStepRows = 17 });
        var prompt = TestModels.Tokens(40, 3);

        var expected = whole.Generate(prompt, sampling, 30, new HashSet<int>()).ToArray();
        var actual = split.Generate(prompt, sampling, 30, new HashSet<int>()).ToArray();

        Assert.Equal(expected.Select(token => token.Id), actual.Select(token => token.Id));
        Assert.InRange(Worst(expected.Select(token => token.Logprob), actual.Select(token => token.Logprob)), 0, FloatTolerance);
        Assert.InRange(Worst(whole.Score(prompt, 3).Select(token => token.Logprob), split.Score(prompt, 3).Select(token => token.Logprob)), 0, FloatTolerance);
    }

    [Fact]
    public void Ranks_verify_drafts_together()
    {
        using var weights = TestModels.Grouped.Weights();
        using var threads = new ComputeThreads(1);
        var options = new StageOptions { KvBlockCount = 4, KvType = KvType.F32, MaxStepRows = 40, MaxSequenceLength = 64 };
        LocalStagePlan[] plan = [new(StageShape.Whole(3), TestSlices.Cut(weights.Config, [0, 2], [0, 64], [0, 16]))];
        using var pipeline = LocalPipeline.Load(weights, plan, options, threads);
        var sampling = new SamplingOptions { Temperature = 0.8f, Seed = 3, PresencePenalty = 0.5f };
        var prompt = TestModels.Tokens(20, 9);
        using var whole = new LocalGenerator(weights, new LocalGeneratorOptions { Threads = 1, KvType = KvType.F32 });
        var expected = whole.Generate(prompt, sampling, 6, new HashSet<int>()).Select(token => token.Id).ToArray();

        var first = Run(pipeline, new Step([new SequenceStart(1, sampling, 20, [])], [new Chunk(1, 0, 20, prompt, new[] { 0, 1 }, 1)]));
        // The second draft is wrong.
        int[] drafts = [expected[0], expected[1], (expected[2] + 1) % TestModels.Vocabulary, expected[3]];
        var second = Run(pipeline, new Step([], [new Chunk(1, 20, 4, drafts, default, 4)]));
        var third = Run(pipeline, new Step([], [new Chunk(1, 22, 3, expected[2..5], default, 3)]));

        Assert.Equal(expected, first.Concat(second).Concat(third));
    }

    static IEnumerable<int> Run(LocalPipeline pipeline, Step step) =>
        Assert.IsType<StepOutcome.Completed>(pipeline.Run(step)).Samples[0].Tokens.Select(token => token.Id);

    static double Worst(IEnumerable<float> a, IEnumerable<float> b) => a.Zip(b, (x, y) => (double)Math.Abs(x - y)).Max();

    void Check(string fixture, string path, double tolerance, double tie = 0)
    {
        using var source = ModelFiles.Open(path);
        var options = new LocalGeneratorOptions { Threads = 2, KvType = KvType.F32 };
        var cases = GreedyFixture.Read(fixture).Cases;
        using var whole = new LocalGenerator(source, options);
        var expected = cases.Select(c => Generate(whole, c)).ToArray();
        foreach (var split in Splits)
        {
            using var ranks = new LocalGenerator(source, options with { Plan = PlanOf(source.Config, split) });
            var (chosen, top) = (0.0, 0.0);
            foreach (var (c, all) in cases.Zip(expected))
            {
                var many = Generate(ranks, c);
                var same = all.Zip(many).TakeWhile(pair => pair.First.Id == pair.Second.Id).Count();
                Assert.Equal(c.Tokens[..same], many[..same].Select(token => token.Id));
                if (same < all.Length) CheckTie(all[same], many[same].Id, tie, $"{fixture}, {split}, token {same} of '{c.Prompt}'");
                var one = all[..same];
                chosen = Math.Max(chosen, Worst(one.Select(token => token.Logprob), many.Select(token => token.Logprob)));
                top = Math.Max(top, one.Zip(many, (a, b) => Worst(Common(a, b), Common(b, a))).Max());
            }
            output.WriteLine($"{fixture}, {split}: greatest difference of the chosen ids' log-probability {chosen:E1}, of the 20 best ids' {top:E1}");
            Assert.InRange(chosen, 0, tolerance);
            Assert.InRange(top, 0, TopTolerance * tolerance);
        }
    }

    /// <summary>Where one worker's two best ids are as good as equal, the order of summation may decide between them.</summary>
    void CheckTie(SampledToken expected, int id, double tie, string where)
    {
        var gap = expected.Logprob - expected.Top.Single(top => top.Id == id).Logprob;
        output.WriteLine($"{where}: {id} in place of {expected.Id}, {gap:E1} behind it");
        Assert.InRange(gap, 0, tie);
    }

    static SampledToken[] Generate(LocalGenerator generator, GreedyFixture.Case c) =>
        [.. generator.Generate(c.PromptTokens, new SamplingOptions { TopLogprobs = 20 }, c.Tokens.Length, new HashSet<int>())];

    /// <summary>Of the ids that are among both tokens' best.</summary>
    static IEnumerable<float> Common(SampledToken token, SampledToken other) =>
        token.Top.Where(t => other.Top.Any(o => o.Id == t.Id)).OrderBy(t => t.Id).Select(t => t.Logprob);

    static IReadOnlyList<LocalStagePlan> PlanOf(LlamaConfig config, string split)
    {
        var (layers, f, v) = (config.LayerCount, config.FfnSize, config.VocabularySize / 16);
        StageSlice[] Even(int count, params int[] heads) => TestSlices.Cut(
            config, heads,
            [.. Enumerable.Range(0, count).Select(rank => f * rank / count / 32 * 32)],
            [.. Enumerable.Range(0, count).Select(rank => v * rank / count * 16)]);
        var (two, three, five) = (Even(2, 0, 4), Even(3, 0, 4, 6), Even(5, 0, 2, 4, 6, 7));
        return split switch
        {
            "2" => [new(StageShape.Whole(layers), two)],
            "3" => [new(StageShape.Whole(layers), three)],
            "5" => [new(StageShape.Whole(layers), five)],
            "uneven" => [new(StageShape.Whole(layers), TestSlices.Cut(config, [0, 6], [0, 32], [0, (v - 1) * 16]))],
            _ => [new(new StageShape(0, 2, layers), two), new(new StageShape(2, 1, layers), []), new(new StageShape(3, layers - 3, layers), two)],
        };
    }
}
