using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Model.Weights;
using LlamaCluster.Primitives;
using static LlamaCluster.Model.Tests.Inference.TestStage;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>
/// A stage that goes on with KV of one before it gives the same bits as one that computed all of it: where it has all layers of the old one, some of them,
/// or only the last ones.
/// </summary>
public sealed class KeptBlocksTests : IDisposable
{
    const int Layers = 3;

    static readonly SamplingOptions Scored = new() { TopLogprobs = 5 };
    static readonly int[] Prompt = TestModels.Tokens(40, seed: 3);

    readonly ComputeThreads _threads = new(1);
    IModelWeights _source = TestModels.Grouped.Weights();
    readonly List<IDisposable> _made = [];

    public static TheoryData<KvType, int> Kinds => new()
    {
        { KvType.F32, Blocks }, { KvType.F16, Blocks }, { KvType.Q8_0, Blocks }, { KvType.F16, Blocks + 5 }, { KvType.F16, 4 },
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public void All_layers(KvType type, int blocks)
    {
        using var kept = Computed(0, Layers, type);
        var stage = Stage(0, Layers, type, kept, blocks);
        Assert.Equal(kept.States, stage.TakenOver);
        Assert.Equal([true, true, false], Whole(kept.States, 3));
        Assert.Equal(Undisturbed(type), Samples(stage, StepOf(Facts(2, Scored, 40), ChunkOf(2, 32, Prompt[32..], [0, 1, 3], sampleCount: 1))));
    }

    /// <summary>Of Nemotron's layers some keep no KV, and the others keep different amounts.</summary>
    [Fact]
    public void Layers_of_different_sizes()
    {
        _made.Add(_source);
        _source = TestModels.Nemotron.Weights();
        using var kept = Computed(0, 7, KvType.F16);
        Assert.Equal(StageMemory.KvBytesPerBlock(_source.Config, new StageShape(1, 5, 7), KvType.F16), kept.BlockBytes(1, 6));
        using var upper = kept.TakeOut(1, 7)!;
        using var joined = KeptBlocks.Join(kept, upper);
        var stage = Stage(0, 7, KvType.F16, joined, Blocks);
        Assert.Equal((0, 7), (stage.TakenOver!.FirstLayer, stage.TakenOver.EndLayer));
        Assert.Equal(Undisturbed(KvType.F16), Samples(stage, StepOf(Facts(2, Scored, 40), ChunkOf(2, 32, Prompt[32..], [0, 1, 3], sampleCount: 1))));
    }

    /// <summary>The first layer is lost. It is computed again, and the others are left alone.</summary>
    [Theory]
    [MemberData(nameof(Kinds))]
    public void The_last_layers(KvType type, int blocks)
    {
        using var kept = Computed(1, 2, type);
        var stage = Stage(0, Layers, type, kept, blocks);
        Assert.Equal((1, Layers), (stage.TakenOver!.FirstLayer, stage.TakenOver.EndLayer));
        Assert.Empty(Samples(stage, StepOf(Facts(2, Scored, 40), ChunkOf(2, 0, Prompt[..20], [0, 1]) with { Depth = 1 })));
        Assert.Empty(Samples(stage, StepOf(null, ChunkOf(2, 20, Prompt[20..32], []) with { Depth = 1 })));
        Assert.Equal(Undisturbed(type), Samples(stage, StepOf(null, ChunkOf(2, 32, Prompt[32..], [3], sampleCount: 1))));
        Assert.True(stage.TryCopyOut(0, new byte[stage.BlockBytes]));
    }

    /// <summary>Whoever orders steps may know less than the stage: that another worker, which had some of these layers, did not run as many steps.</summary>
    [Fact]
    public void What_is_whole_may_be_filled_again()
    {
        using var kept = Computed(0, Layers, KvType.F16);
        var stage = Stage(0, Layers, KvType.F16, kept, Blocks);
        Assert.Empty(Samples(stage, Deep(Prompt[..32], 1, 0, 1)));
        Assert.Equal(Undisturbed(KvType.F16), Samples(stage, StepOf(null, ChunkOf(2, 32, Prompt[32..], [3], sampleCount: 1))));
    }

    /// <summary>A stage without layers that were lost is not run for what others fill; it goes on from its own blocks.</summary>
    [Fact]
    public void A_stage_that_runs_later_than_the_one_before_it()
    {
        using var kept = Computed(1, 2, KvType.F16);
        StageRunner first = Stage(0, 1, KvType.F16, null, Blocks), second = Stage(1, 2, KvType.F16, kept, Blocks);
        Assert.Empty(Samples(first, StepOf(Facts(2, Scored, 40), ChunkOf(2, 0, Prompt[..32], [0, 1]) with { Depth = 1 })));
        Assert.Equal(0, first.Output.Length);
        Samples(first, StepOf(null, ChunkOf(2, 32, Prompt[32..], [3], sampleCount: 1)));
        first.Output.CopyTo(second.Input(8));
        Assert.Equal(Undisturbed(KvType.F16), Samples(second, StepOf(Facts(2, Scored, 40), ChunkOf(2, 32, Prompt[32..], [0, 1, 3], sampleCount: 1))));
    }

    public static TheoryData<string> Models => ["grouped", "mixtral", "llama4"];

    /// <summary>Rows of chunks that end within the stage are the last, and what they leave out changes no bit of the others.</summary>
    [Theory]
    [MemberData(nameof(Models))]
    public void Chunks_of_several_depths_in_one_step(string model)
    {
        _made.Add(_source);
        _source = (model switch
        {
            "mixtral" => TestModels.Mixtral,
            "llama4" => TestModels.Llama4 with { Config = TestModels.Llama4.Config with { LayerCount = Layers } },
            _ => TestModels.Grouped,
        }).Weights();
        using var kept = Computed(2, 1, KvType.F16);
        var stage = Stage(0, Layers, KvType.F16, kept, Blocks);
        var other = TestModels.Tokens(10, seed: 8);
        var alone = Samples(Stage(0, Layers, KvType.F16, null, Blocks), StepOf(Facts(1, Scored, 10), ChunkOf(1, 0, other, [9], sampleCount: 1)));
        Assert.Equal(alone, Samples(stage, new Step([Facts(1, Scored, 10), Facts(2, Scored, 40)],
        [
            ChunkOf(1, 0, other, [9], sampleCount: 1),
            ChunkOf(2, 0, Prompt[..30], [0, 1]) with { Depth = 2 },
        ])));
        Assert.Empty(Samples(stage, StepOf(null, ChunkOf(2, 30, Prompt[30..32], []) with { Depth = 2 })));
        Assert.Equal(Undisturbed(KvType.F16), Samples(stage, StepOf(null, ChunkOf(2, 32, Prompt[32..], [3], sampleCount: 1))));
    }

    [Fact]
    public void What_was_not_kept_is_refused()
    {
        using var kept = Computed(1, 2, KvType.F16);
        var stage = Stage(0, Layers, KvType.F16, kept, Blocks);
        Assert.Equal("sequence 2 goes through layers up to 0 only, but block 2 holds nothing behind", Refused(stage, Deep(Prompt[..32], 1, 0, 2)));
        Assert.Equal("sequence 2 goes through 0 layers, none of which is this stage's", Refused(stage, Deep(Prompt[..32], 0, 0, 1)));
        Assert.Equal("sequence 2 starts at position 16, but its block 0 holds 0 positions, not 16",
            Refused(stage, StepOf(Facts(2), ChunkOf(2, 16, Prompt[16..20], [0, 1]))));
        Assert.Equal("sequence 2 goes through 1 layers, but is to be sampled",
            Refused(stage, StepOf(Facts(2), ChunkOf(2, 0, Prompt[..32], [0, 1], sampleCount: 1) with { Depth = 1 })));
        Assert.Equal("sequence 3 goes through more layers than the one before it",
            Refused(stage, new Step([Facts(2), Facts(3)], [ChunkOf(2, 0, Prompt[..32], [0, 1]) with { Depth = 1 }, ChunkOf(3, 0, [1], [5])])));
        Samples(stage, Deep(Prompt[..20], 1, 0, 1));
        Assert.Equal("sequence 2 goes through another number of layers from position 20 on, which is within a block",
            Refused(stage, StepOf(null, ChunkOf(2, 20, [1], []))));

        // Whoever writes to a block puts something else there.
        Samples(stage, StepOf(Facts(4), ChunkOf(4, 0, [1, 2], [2])));
        stage.End(2);
        Samples(stage, StepOf(Facts(5), ChunkOf(5, 0, Prompt[..16], [0])));
        stage.End(5);
        Assert.Equal("sequence 2 goes through layers up to 0 only, but block 0 holds nothing behind", Refused(stage, Deep(Prompt[..16], 1, 0)));
        using var all = stage.Keep();
        Assert.Equal((0, Layers), (all!.States.FirstLayer, all.States.EndLayer));
        Assert.Equal([true, false, false], Whole(all.States, 3));
    }

    [Fact]
    public void Layers_that_are_not_the_last_of_a_stage_are_of_no_use()
    {
        using var kept = Computed(0, 2, KvType.F16);
        var stage = Stage(0, Layers, KvType.F16, kept, Blocks);
        Assert.NotNull(Refused(stage, Deep(Prompt[..16], 1, 0)));
        Assert.NotNull(Refused(stage, StepOf(Facts(2), ChunkOf(2, 16, Prompt[16..20], [0, 1]))));
        Assert.Equal(Undisturbed(KvType.F16), Samples(stage, StepOf(Facts(2, Scored, 40), ChunkOf(2, 0, Prompt, [0, 1, 2], sampleCount: 1))));
    }

    [Fact]
    public void Another_layout_is_not_taken_over()
    {
        using var kept = Computed(0, Layers, KvType.F16);
        var stage = Stage(0, Layers, KvType.F32, kept, Blocks);
        Assert.Null(stage.TakenOver);
        Assert.Equal(Undisturbed(KvType.F32), Samples(stage, StepOf(Facts(2, Scored, 40), ChunkOf(2, 0, Prompt, [0, 1, 2], sampleCount: 1))));
    }

    /// <summary>A stage that never ran hands on what it was given; once it has run, what it has is its own.</summary>
    [Fact]
    public void Kept_blocks_outlive_stages_that_do_nothing()
    {
        using var kept = Computed(1, 2, KvType.F16);
        using var handedOn = Stage(0, Layers, KvType.F16, kept, Blocks).Keep();
        Assert.Equal((true, 1, Layers), (handedOn!.States.AreInherited, handedOn.States.FirstLayer, handedOn.States.EndLayer));
        var stage = Stage(1, 2, KvType.F16, handedOn, Blocks);
        stage.Input(4).Clear();
        Samples(stage, StepOf(Facts(3), ChunkOf(3, 0, [1, 2, 3, 4], [1])));
        using var own = stage.Keep();
        Assert.Equal((false, 1, Layers), (own!.States.AreInherited, own.States.FirstLayer, own.States.EndLayer));
        Assert.Equal([true, false, false], Whole(own.States, 3));
        Assert.Null(Stage(0, Layers, KvType.F16, null, Blocks).Keep());
    }

    [Fact]
    public void Blocks_that_a_step_which_broke_off_was_to_fill_are_not_kept()
    {
        var table = new SequenceTable(
            _source.Config, StageShape.Whole(Layers), new StageOptions { KvBlockCount = Blocks, MaxStepRows = MaxRows, MaxSequenceLength = MaxLength });
        Assert.Null(table.Admit(StepOf(Facts(1), ChunkOf(1, 0, Prompt[..20], [0, 1])), givenRows: null));
        table[1].Advance(ChunkOf(1, 0, Prompt[..20], [0, 1]), accepted: null);
        table.Finish();
        Assert.Null(table.Admit(StepOf(null, ChunkOf(1, 20, Prompt[20..], [2])), givenRows: null));
        Assert.Equal([true, false, false], Whole(table.Keep()!, 3));
        table.Finish();
        Assert.Equal([true, true, false], Whole(table.Keep()!, 3));
    }

    [Fact]
    public void Blocks_with_numbers_that_are_not_finite_are_not_kept()
    {
        using var weights = new PoisonedWeights(TestModels.Grouped, "blk.0.attn_k.weight", token: 13);
        using var stage = new TestStage(weights: weights);
        stage.Complete(StepOf(Facts(1), ChunkOf(1, 0, [.. Enumerable.Repeat(1, 16), 13, .. Enumerable.Repeat(1, 15)], [0, 1])));
        using var kept = stage.Runner.Keep();
        Assert.Equal([true, false], Whole(kept!.States, 2));
    }

    [Fact]
    public void Layers_and_blocks_that_are_given_up_are_gone()
    {
        using var kept = Computed(0, Layers, KvType.F16);
        var bytes = kept.Bytes;
        kept.KeepOnly(1, 5);
        Assert.Equal((1, Layers, bytes / 3 * 2), (kept.States.FirstLayer, kept.States.EndLayer, kept.Bytes));
        kept.KeepFirst(Blocks / 2);
        kept.KeepFirst(Blocks);
        Assert.Equal((Blocks / 2, bytes / 3), (kept.BlockCount, kept.Bytes));
        kept.KeepOnly(5, 9);
        Assert.Equal((0L, true), (kept.Bytes, kept.IsEmpty));
        Assert.Null(Stage(0, Layers, KvType.F16, kept, Blocks).TakenOver);
    }

    public void Dispose()
    {
        foreach (var made in Enumerable.Reverse(_made)) made.Dispose();
        _source.Dispose();
        _threads.Dispose();
    }

    /// <summary>What a stage of some layers leaves, of which the prompt's first two blocks are full.</summary>
    KeptBlocks Computed(int firstLayer, int layers, KvType type)
    {
        var before = firstLayer > 0 ? Stage(0, firstLayer, type, null, Blocks) : null;
        var stage = Stage(firstLayer, layers, type, null, Blocks);
        var step = StepOf(Facts(1, Scored, 40), ChunkOf(1, 0, Prompt, [0, 1, 2]));
        if (before is not null)
        {
            Samples(before, step);
            before.Output.CopyTo(stage.Input(Prompt.Length));
        }
        Samples(stage, step);
        return stage.Keep()!;
    }

    IEnumerable<string> Undisturbed(KvType type) =>
        Samples(Stage(0, _source.Config.LayerCount, type, null, Blocks), StepOf(Facts(1, Scored, 40), ChunkOf(1, 0, Prompt, [0, 1, 2], sampleCount: 1)));

    StageRunner Stage(int firstLayer, int layers, KvType type, KeptBlocks? kept, int blocks)
    {
        var shape = new StageShape(firstLayer, layers, _source.Config.LayerCount);
        var weights = ShardWeights.Load(_source, shape, _threads, null, CancellationToken.None);
        var options = new StageOptions { KvBlockCount = blocks, KvType = type, MaxStepRows = MaxRows, MaxSequenceLength = MaxLength, Kept = kept };
        var stage = new StageRunner(_source.Config, weights, shape, options, _threads);
        _made.AddRange([weights, stage]);
        return stage;
    }

    static bool[] Whole(KeptStates states, int blocks) => [.. Enumerable.Range(0, blocks).Select(states.IsWhole)];

    static Step Deep(int[] tokens, int depth, params int[] blocks) => StepOf(Facts(2, Scored, 40), ChunkOf(2, 0, tokens, blocks) with { Depth = depth });

    static string Refused(StageRunner stage, Step step) => Assert.IsType<StepOutcome.Refused>(stage.Run(step)).Reason;

    static IEnumerable<string> Samples(StageRunner stage, Step step) =>
        [.. Assert.IsType<StepOutcome.Completed>(stage.Run(step)).Samples.SelectMany(samples => samples.Tokens)
            .Select(token => $"{token.Id} {token.Logprob:R} {string.Join(' ', token.Top)}")];
}
