using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Adapters;
using LlamaCluster.Model.Local;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>Sequences with adapters: what they compute, and that nothing of it depends on the company, the chunks or the stages.</summary>
public sealed class AdapterTests : IDisposable
{
    readonly TempFolder _folder = new();

    public static TheoryData<string> Shapes => ["grouped heads", "heads wider than hidden / heads", "tied embeddings", "odd widths", "one layer"];

    [Theory]
    [MemberData(nameof(Shapes))]
    public void An_adapter_gives_what_the_model_gives_that_it_is_merged_into(string shape)
    {
        var model = TestModels.Shapes[shape];
        using var weights = model.Weights();
        // A tied head is the embedding too, which stays as it is.
        var adapter = new SyntheticAdapter(model.Config) { Changes = target => target.Layer is not null || !model.Config.TiedEmbeddings };
        using var merged = new MergedWeights(weights, adapter);
        int[][] sequences = [TestModels.Tokens(50, 1), TestModels.Tokens(3, 2)];
        var expected = new ScoredRun(merged, sequences).Run();
        foreach (var opened in new[]
        {
            Open(adapter.WriteGguf(_folder.File("a.gguf")), model.Config),
            Open(adapter.WritePeft(_folder.File("a")), model.Config),
        })
        {
            using (opened)
            {
                var actual = new ScoredRun(weights, sequences) { Adapters = new Dictionary<ulong, AdapterWeights> { [7] = opened }, AdapterOf = [7, 7] }.Run();
                for (var s = 0; s < sequences.Length; s++) Assert.InRange(Worst(expected[s], actual[s]), 0, 1e-4);
            }
        }
        Assert.True(Worst(expected[0], new ScoredRun(weights, sequences).Run()[0]) > 0.1, "the adapter changes something");
    }

    [Theory]
    [InlineData("grouped heads", 0)]
    [InlineData("odd widths", 3)]
    [InlineData("tied embeddings", 6)]
    public void Whole_matrices_give_what_a_model_gives_that_has_them(string shape, int more)
    {
        var model = TestModels.Shapes[shape];
        using var weights = model.Weights();
        var rows = model.Config.VocabularySize + more;
        var isTied = model.Config.TiedEmbeddings;   // then the adapter's embedding is its head, and a pair of the embedding would be of that alone
        var adapter = new SyntheticAdapter(model.Config)
        {
            WholeRows = rows,
            BringsWhole = target => target.IsEmbedding || !isTied,
            Changes = target => target.Layer is not null || !isTied,
        };
        int[][] sequences = [[.. TestModels.Tokens(40, 1), .. Enumerable.Range(rows - 4, 4)], TestModels.Tokens(3, 2)];
        using var merged = new MergedWeights(weights, adapter);
        using var opened = Open(adapter.WritePeft(WithTokenizer("w")), model.Config);
        Assert.Equal(rows, opened.Content.VocabularySize);
        Assert.Equal(2, opened.Content.Replacements.Count);
        var expected = new ScoredRun(merged, sequences).Run();
        var actual = new ScoredRun(weights, sequences) { Adapters = new Dictionary<ulong, AdapterWeights> { [7] = opened }, AdapterOf = [7, 7] }.Run();
        for (var s = 0; s < sequences.Length; s++) Assert.InRange(Worst(expected[s], actual[s]), 0, 1e-4);
    }

    [Fact]
    public void Vocabularies_of_their_own_share_steps_with_others_in_every_split()
    {
        using var weights = TestModels.Grouped.Weights();
        using var adapters = new OpenAdapters();
        var larger = new SyntheticAdapter(weights.Config) { Seed = 21, WholeRows = 53, Type = TensorType.F16 };
        adapters.Add(1, Open(larger.WritePeft(WithTokenizer("1")), weights.Config));
        adapters.Add(2, Open(new SyntheticAdapter(weights.Config) { Seed = 22 }.WriteGguf(_folder.File("2.gguf")), weights.Config));
        adapters.Add(3, Open(
            (larger with { Seed = 23, WholeRows = weights.Config.VocabularySize, Changes = target => target.IsHead }).WritePeft(_folder.File("3")),
            weights.Config));
        int[][] sequences = [.. Enumerable.Range(0, 6).Select(i => TestModels.Tokens(20 + (7 * i), i))];
        sequences[0] = [.. sequences[0], 52, 20, 41, 33];
        sequences[4] = [50, .. sequences[4], 51];
        var alone = new ScoredRun(weights, sequences) { Adapters = adapters, AdapterOf = [1, 0, 2, 3, 1, 0] };
        var (plain, expected) = (new ScoredRun(weights, [sequences[1], sequences[5]]).Run(), alone.Run());
        Assert.Equal(plain, [expected[1], expected[5]]);
        foreach (var run in new[]
        {
            alone with { Together = true }, alone with { Together = true, ChunkSize = 1, Threads = 2 },
            alone with { Together = true, ChunkSize = 17, Threads = 3 },
            alone with { Together = true, Stages = 3, ChunkSize = 5 },
        })
            Assert.Equal(expected, run.Run());
        var split = alone with { Plan = [new LocalStagePlan(StageShape.Whole(3), TestSlices.Cut(weights.Config, [0, 2], [0, 40], [0, 16]))] };
        var ranks = split.Run();
        for (var s = 0; s < sequences.Length; s++) Assert.InRange(Worst(expected[s], ranks[s]), 0, 1e-4);
        Assert.Equal(ranks, (split with { Together = true, ChunkSize = 7 }).Run());
    }

    [Theory]
    [InlineData(TensorType.F32, TensorType.F32)]
    [InlineData(TensorType.Q8_0, TensorType.F16)]
    [InlineData(TensorType.Q4_0, TensorType.BF16)]
    public void Four_adapters_and_none_in_a_batch_have_the_bits_that_each_has_alone(TensorType type, TensorType adapterType)
    {
        using var weights = (TestModels.Grouped with { Type = type }).Weights();
        using var adapters = Several(weights.Config, adapterType);
        int[][] sequences = [.. Enumerable.Range(0, 7).Select(i => TestModels.Tokens(20 + (7 * i), i))];
        ulong[] adapterOf = [1, 0, 2, 3, 0, 4, 1];
        var plain = new ScoredRun(weights, sequences).Run();
        var alone = new ScoredRun(weights, sequences) { Adapters = adapters, AdapterOf = adapterOf };
        var expected = alone.Run();
        for (var s = 0; s < sequences.Length; s++)
        {
            if (adapterOf[s] == 0) Assert.Equal(plain[s], expected[s]);
            else Assert.NotEqual(plain[s], expected[s]);
        }
        foreach (var run in new[]
        {
            alone with { Together = true }, alone with { Together = true, ChunkSize = 1, Threads = 2 }, alone with { Together = true, ChunkSize = 17 },
            alone with { Together = true, Stages = 3, ChunkSize = 5 },
        })
            Assert.Equal(expected, run.Run());
    }

    [Theory]
    [InlineData(TensorType.F32, 1e-4)]
    [InlineData(TensorType.Q8_0, 0.1)]
    public void Ranks_share_adapters_as_they_share_the_model(TensorType type, double tolerance)
    {
        using var weights = (TestModels.Grouped with { Type = type }).Weights();
        using var adapters = Several(weights.Config, TensorType.F32);
        int[][] sequences = [TestModels.Tokens(60, 1), TestModels.Tokens(33, 2), TestModels.Tokens(20, 3)];
        var whole = new ScoredRun(weights, sequences) { Adapters = adapters, AdapterOf = [1, 0, 3] };
        var split = whole with { Plan = [new LocalStagePlan(StageShape.Whole(3), TestSlices.Cut(weights.Config, [0, 2], [0, 40], [0, 16]))] };
        var (expected, actual) = (whole.Run(), split.Run());
        for (var s = 0; s < sequences.Length; s++) Assert.InRange(Worst(expected[s], actual[s]), 0, tolerance);
        Assert.Equal(actual, (split with { Together = true, ChunkSize = 7 }).Run());
    }

    [Fact]
    public void Layers_with_experts_keep_theirs_and_attention_is_adapted()
    {
        foreach (var model in new[] { TestModels.Mixtral, TestModels.Llama4 })
        {
            using var weights = model.Weights();
            var adapter = new SyntheticAdapter(model.Config);
            using var merged = new MergedWeights(weights, adapter);
            using var opened = Open(adapter.WriteGguf(_folder.File("experts.gguf")), model.Config);
            var tokens = TestModels.Tokens(40, 1);
            var actual = new ScoredRun(weights, tokens) { Adapters = new Dictionary<ulong, AdapterWeights> { [1] = opened }, AdapterOf = [1] }.Run();
            Assert.InRange(Worst(new ScoredRun(merged, tokens).Run()[0], actual[0]), 0, 1e-3);
        }
    }

    [Fact]
    public void A_sequence_with_an_adapter_that_is_not_loaded_fails_alone()
    {
        using var weights = TestModels.Grouped.Weights();
        using var threads = new ComputeThreads(1);
        var options = new StageOptions { KvBlockCount = 4, KvType = KvType.F32, MaxStepRows = 8, MaxSequenceLength = 32 };
        using var pipeline = LocalPipeline.Load(weights, LocalStagePlan.Even(3, 1), options, threads);
        SequenceStart[] starts = [TestStage.Facts(1) with { AdapterId = 9 }, TestStage.Facts(2)];
        var step = new Step(starts, [TestStage.ChunkOf(1, 0, [1, 2, 3, 4], [0], 1), TestStage.ChunkOf(2, 0, [1, 2, 3, 4], [1], 1)]);
        var outcome = Assert.IsType<StepOutcome.Completed>(pipeline.Run(step));
        Assert.Equal(2ul, Assert.Single(outcome.Samples).SequenceId);
        Assert.Equal(new SequenceFailure(1, "its adapter 9 is not loaded here"), Assert.Single(outcome.Failures));
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>A folder with the tokenizer of an adapter, which nobody reads here.</summary>
    string WithTokenizer(string name)
    {
        Directory.CreateDirectory(_folder.File(name));
        File.WriteAllText(Path.Combine(_folder.File(name), "tokenizer.json"), "{}");
        return _folder.File(name);
    }

    /// <summary>Of different ranks and targets, under the ids 1 to 4.</summary>
    OpenAdapters Several(LlamaConfig config, TensorType type)
    {
        SyntheticAdapter[] all =
        [
            new(config) { Seed = 11, Type = type },
            new(config) { Seed = 12, Rank = 1, Type = type, Changes = target => target.Part is "attn_q" or "attn_v" },
            new(config) { Seed = 13, Rank = 17, Type = type, Changes = target => target.Part is "ffn_down" or "ffn_gate" },
            new(config) { Seed = 14, Rank = 8, Type = type, Changes = target => target.Layer is 1 or null },
        ];
        var opened = new OpenAdapters();
        foreach (var (index, adapter) in all.Index()) opened.Add((ulong)index + 1, Open(adapter.WriteGguf(_folder.File($"{index}.gguf")), config));
        return opened;
    }

    static AdapterWeights Open(string path, LlamaConfig config) => AdapterWeights.Open(path, config);

    static double Worst(float[] expected, float[] actual) => expected.Zip(actual, (a, b) => (double)Math.Abs(a - b)).Max();

    sealed class OpenAdapters : Dictionary<ulong, AdapterWeights>, IDisposable
    {
        public void Dispose()
        {
            foreach (var adapter in Values) adapter.Dispose();
        }
    }
}
