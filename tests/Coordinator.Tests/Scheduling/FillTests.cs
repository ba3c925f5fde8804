using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>Prefixes that the view before left, and that some layers lack: who fills them, how deep, and what the stages are told.</summary>
public sealed class FillTests
{
    const int Depth = 4;
    static readonly int[] Stages = [0, 4, 8];   // first layers

    KvBlockPool _pool = null!;
    StepScheduler _scheduler = null!;
    ulong _lastId;

    [Fact]
    public void A_prompt_is_filled_no_deeper_than_it_lacks_and_goes_on_in_all_layers()
    {
        var prompt = Prompt(100);
        Begin(prompt, whole: 2, lacking: 3);
        var run = Add(prompt);

        var fill = _scheduler.Schedule()!;
        Assert.Equal((32, 48, Depth, true, 0), Facts(fill.Chunks[0]));
        Assert.Equal((Depth, run), (fill.Depth, fill.Chunks[0].Run));
        Assert.Equal([0, 1, 2, 3, 4], fill.Chunks[0].NewBlocks);
        Assert.Single(StepMessages.Of(fill, 1, 1, Stages));
        Assert.Empty(StepMessages.HistoriesOf(fill, 1, Stages[^1]));
        Return(fill);

        var rest = _scheduler.Schedule()!;
        Assert.Equal((80, 20, ScheduledChunk.AllLayers, false, Depth), Facts(rest.Chunks[0]));
        Assert.Equal(1, rest.Chunks[0].SampleCount);
        var messages = StepMessages.Of(rest, 1, 2, Stages);
        Assert.Equal([0, 1, 1], messages.Select(message => message.Step.NewSequences.Count));
        Assert.Equal([2, 7, 7], messages.Select(message => message.Step.Chunks[0].NewBlocks.Count));
        Assert.Equal([0, 1, 2, 3, 4], messages[1].Step.Chunks[0].NewBlocks.Take(5));
        Assert.Equal([20, 0, 20], messages.Select(message => message.Step.Chunks[0].Tokens.Count));
        Assert.Equal(
            [null, null, 100u], messages.Select(message => message.Step.NewSequences is [{ Sampling: not null } facts] ? facts.PromptLength : (uint?)null));
        Return(rest);
        Assert.Equal(32, run.Sequence.CachedTokens);
        Assert.Equal(default, _scheduler.Carried);
    }

    [Fact]
    public void Sampling_that_looks_back_gets_its_history_when_the_last_stage_hears_of_the_sequence()
    {
        var prompt = Prompt(40);
        Begin(prompt, whole: 0, lacking: 2);
        Add(prompt, sampling: new SamplingOptions { PresencePenalty = 1 });
        var fill = _scheduler.Schedule()!;
        Assert.Empty(StepMessages.HistoriesOf(fill, 1, Stages[^1]));
        Return(fill);
        var history = Assert.Single(StepMessages.HistoriesOf(_scheduler.Schedule()!, 1, Stages[^1]));
        Assert.Equal(prompt[..32], history.History.Tokens);
    }

    /// <summary>The stage that has layers on both sides of what is lacking knows the sequence; those behind do not.</summary>
    [Theory]
    [InlineData(3, new[] { 0, 1, 1 })]
    [InlineData(6, new[] { 0, 0, 1 })]
    [InlineData(9, new[] { 0, 0, 0 })]
    public void Depths_within_a_stage(int depth, int[] hearOfItLater)
    {
        var prompt = Prompt(40);
        Begin(prompt, whole: 0, lacking: 2, depth);
        Add(prompt);
        var fill = _scheduler.Schedule()!;
        var told = StepMessages.Of(fill, 1, 1, Stages);
        Assert.Equal(hearOfItLater.Count(later => later == 0), told.Length);
        Assert.All(told, message => Assert.Equal((1, (uint)depth), (message.Step.NewSequences.Count, Assert.Single(message.Step.Chunks).Depth)));
        Return(fill);
        Assert.Equal(hearOfItLater, StepMessages.Of(_scheduler.Schedule()!, 1, 2, Stages).Select(message => message.Step.NewSequences.Count));
    }

    [Fact]
    public void A_long_fill_takes_several_steps_and_others_find_it_as_it_goes()
    {
        var prompt = Prompt(300);
        Begin(prompt, whole: 0, lacking: 18);
        SequenceRun first = Add(prompt), second = Add([.. prompt[..200], 1, 2, 3]);
        List<(int Start, int Count, int Depth)> chunks = [];
        while (second.Sequence.CachedTokens is null)
        {
            var step = _scheduler.Schedule()!;
            chunks.AddRange(step.Chunks.Where(chunk => chunk.Run == first).Select(chunk => (chunk.Start, chunk.Count, chunk.Depth)));
            Return(step);
        }
        Assert.Equal([(0, 128, Depth), (128, 128, Depth)], chunks[..2]);
        Assert.Equal(192, second.Sequence.CachedTokens);
    }

    /// <summary>A step for all stages takes fills along: their rows come last, so that they can be left out behind.</summary>
    [Fact]
    public void Streams_and_fills_share_steps()
    {
        var prompt = Prompt(40);
        Begin(prompt, whole: 0, lacking: 2);
        var stream = Add(Prompt(5, kind: 1));
        Return(_scheduler.Schedule()!);
        Add(prompt, client: "b");
        var step = _scheduler.Schedule()!;
        Assert.Equal([(1, ScheduledChunk.AllLayers), (32, Depth)], step.Chunks.Select(chunk => (chunk.Count, chunk.Depth)));
        Assert.Equal(stream, step.Chunks[0].Run);
        var messages = StepMessages.Of(step, 1, 1, Stages);
        Assert.Equal([2, 1, 1], messages.Select(message => message.Step.Chunks.Count));
        Assert.Equal([1, 0, 0], messages.Select(message => message.Step.NewSequences.Count));
        Assert.Equal([0u, Depth], messages[0].Step.Chunks.Select(chunk => chunk.Depth));
    }

    [Fact]
    public void A_prompt_that_begins_otherwise_takes_no_blocks_of_it()
    {
        Begin(Prompt(100), whole: 0, lacking: 6);
        Add(Prompt(100, kind: 1));
        var step = _scheduler.Schedule()!;
        Assert.Equal((0, 100, ScheduledChunk.AllLayers, true, 0), Facts(step.Chunks[0]));
        Assert.DoesNotContain(step.Chunks[0].NewBlocks, block => block < 6);
        Assert.Equal((7, 6), (_pool.Held, _pool.Cached));
    }

    [Fact]
    public void Who_wants_log_probabilities_of_the_prompt_computes_all_of_it()
    {
        var prompt = Prompt(40);
        Begin(prompt, whole: 1, lacking: 1);
        Add(prompt, sampling: new SamplingOptions { PromptLogprobs = true });
        Assert.Equal((0, 40, ScheduledChunk.AllLayers, true, 0), Facts(_scheduler.Schedule()!.Chunks[0]));
    }

    [Fact]
    public void A_fill_that_is_given_up_can_be_begun_again()
    {
        var prompt = Prompt(300);
        Begin(prompt, whole: 0, lacking: 18);
        var first = Add(prompt);
        Return(_scheduler.Schedule()!);
        _scheduler.Cancel(first);
        Assert.Equal(18, _pool.Cached);
        var again = Add(prompt);
        Assert.Equal((128, 128, Depth, true, 0), Facts(_scheduler.Schedule()!.Chunks[0]));
        Assert.Equal(128, again.Sequence.CachedTokens);
    }

    [Fact]
    public void A_sequence_that_fails_leaves_nothing_of_it()
    {
        var prompt = Prompt(100);
        Begin(prompt, whole: 2, lacking: 3);
        Add(prompt);
        var fill = _scheduler.Schedule()!;
        _scheduler.Complete(fill, [ChunkResult.Failed("not finite")]);
        Assert.Equal((0, 0), (_pool.Held, _pool.Cached));
        Assert.Empty(_pool.Full);
    }

    /// <summary>Somebody of a higher priority computed the same meanwhile: one of the two can be found, and nothing is counted twice.</summary>
    [Fact]
    public void A_block_that_another_fills_first_is_given_up()
    {
        var prompt = Prompt(300);
        Begin(prompt, whole: 0, lacking: 18);
        var below = Add(prompt, client: "b", priority: 1);
        Return(_scheduler.Schedule()!);   // 8 blocks of it can be found
        Add(prompt, priority: 0);
        while (!below.Ended)
        {
            Return(_scheduler.Schedule()!);
            SchedulerInvariants.Check(_scheduler);
        }
        Assert.Equal(19, _pool.Full.Count());
    }

    [Fact]
    public void Sequences_that_go_on_are_counted_by_how_they_do()
    {
        var prompt = Prompt(100);
        Begin(prompt, whole: 2, lacking: 3);
        var run = TestSequence.Of(++_lastId, prompt);
        run.Sequence.Begin(1);
        Assert.True(_scheduler.TryCarryOver(run));
        _scheduler.Schedule();
        Assert.Equal(new CarriedPositions(32, 48, 20), _scheduler.Carried);
    }

    [Fact]
    public void What_is_lacking_is_used_for_something_else_like_other_blocks_that_nobody_holds()
    {
        var prompt = Prompt(40);
        Begin(prompt, whole: 0, lacking: 2, blocks: 4);
        var other = Add(Prompt(60, kind: 1), maxTokens: 1);
        Return(_scheduler.Schedule()!);
        Assert.True(other.Ended);
        Add(prompt);
        Assert.Equal((0, 40, ScheduledChunk.AllLayers, true, 0), Facts(_scheduler.Schedule()!.Chunks[0]));
    }

    /// <summary>The last stage lacks three blocks, and the one before has what it sent in a journal.</summary>
    [Fact]
    public void What_the_last_stage_lacks_is_filled_by_it_alone_from_a_journal()
    {
        var prompt = Prompt(100);
        Begin(prompt, whole: 2, lacking: 3, ScheduledChunk.AllLayers, from: 8);
        var run = Add(prompt, sampling: new SamplingOptions { PresencePenalty = 1 });

        var fill = _scheduler.Schedule()!;
        Assert.Equal((32, 48, ScheduledChunk.AllLayers, true, 0), Facts(Assert.Single(fill.Chunks)));
        Assert.Equal(8, fill.From);
        var messages = StepMessages.Of(fill, 1, 1, Stages);
        Assert.Equal(2, messages.Length);
        var replayed = Assert.Single(messages[0].Replay.Chunks);
        Assert.Equal((0, 48), (replayed.First, replayed.Count));
        Assert.Equal([2, 3, 4], replayed.Blocks);
        var last = messages[1].Step;
        Assert.Equal((1, 48, 32, 0u), (last.NewSequences.Count, last.Chunks[0].Tokens.Count, last.Chunks[0].Start, last.Chunks[0].Depth));
        Assert.Equal([0, 1, 2, 3, 4], last.Chunks[0].NewBlocks);
        Assert.Equal(prompt[..32], Assert.Single(StepMessages.HistoriesOf(fill, 1, Stages[^1])).History.Tokens);
        Return(fill);

        var rest = _scheduler.Schedule()!;
        Assert.Equal((80, 20, ScheduledChunk.AllLayers, false, ScheduledChunk.AllLayers), Facts(rest.Chunks[0]));
        messages = StepMessages.Of(rest, 1, 2, Stages);
        Assert.Equal([1, 1, 0], messages.Select(message => message.Step.NewSequences.Count));
        Assert.Equal([7, 7, 2], messages.Select(message => message.Step.Chunks[0].NewBlocks.Count));
        Assert.Empty(StepMessages.HistoriesOf(rest, 1, Stages[^1]));
        Return(rest);
        Assert.Equal(101, run.Tokens.Count);
    }

    [Fact]
    public void Rows_of_a_journal_and_streams_take_turns()
    {
        var prompt = Prompt(1000);
        Begin(prompt, whole: 0, lacking: 62, ScheduledChunk.AllLayers, from: 4);
        Add(Prompt(5, kind: 1), maxTokens: 100);
        Return(_scheduler.Schedule()!);
        Add(prompt, maxTokens: 1);
        List<int> from = [];
        for (var i = 0; i < 8; i++)
        {
            var step = _scheduler.Schedule()!;
            from.Add(step.From);
            Return(step);
            SchedulerInvariants.Check(_scheduler);
        }
        Assert.Equal([0, 4, 0, 4, 0, 4, 0, 4], from);
    }

    /// <summary>What begins at another layer is not filled with it.</summary>
    [Fact]
    public void One_fill_begins_at_one_layer()
    {
        var prompt = Prompt(100);
        var keys = new PromptKeys(PrefixCacheKey.Root(TestSequence.Digest, ""), prompt);
        keys.Compute();
        Begin(prompt, whole: 0, lacking: 1);
        BlockFill[] fills = [BlockFill.Lacking(8, 4), BlockFill.Lacking(8, 4), BlockFill.Lacking(4)];
        _pool = new KvBlockPool(100, [.. fills.Select((fill, block) => new FullBlock(block, keys.Ends[block + 1], fill))]);
        _scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = 1 }, _pool);
        Add(prompt);
        var fill = _scheduler.Schedule()!;
        Assert.Equal((0, 32, 8, true, 0), Facts(fill.Chunks[0]));
        Assert.Equal([true, false], StepMessages.Of(fill, 1, 1, Stages).Select(message => message.Replay is not null));
        Return(fill);
        var rest = _scheduler.Schedule()!;
        Assert.Equal((32, 68, ScheduledChunk.AllLayers, false, 8), Facts(rest.Chunks[0]));
        Assert.Equal([1, 0, 1], StepMessages.Of(rest, 1, 2, Stages).Select(message => message.Step.NewSequences.Count));
    }

    /// <summary>A pool in which the first blocks of a prompt are whole, and the next ones lack some layers.</summary>
    void Begin(int[] prompt, int whole, int lacking, int depth = Depth, int blocks = 100, int from = 0)
    {
        var keys = new PromptKeys(PrefixCacheKey.Root(TestSequence.Digest, ""), prompt);
        keys.Compute();
        var kept = Enumerable.Range(0, whole + lacking)
            .Select(block => new FullBlock(block, keys.Ends[block + 1], block < whole ? BlockFill.Before : BlockFill.Lacking(depth, from)));
        _pool = new KvBlockPool(blocks, [.. kept]);
        Assert.Equal(whole + lacking, _pool.Cached);
        _scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = 1 }, _pool);
    }

    SequenceRun Add(int[] prompt, int maxTokens = 10, SamplingOptions? sampling = null, string client = "a", int priority = 0)
    {
        var run = TestSequence.Of(
            ++_lastId, new SequenceRequest(prompt, sampling ?? new SamplingOptions(), maxTokens, new HashSet<int>()) { Client = client, Priority = priority });
        Assert.Equal(AddOutcome.Queued, _scheduler.Add(run));
        return run;
    }

    void Return(ScheduledStep step) =>
        _scheduler.Complete(step, [.. step.Chunks.Select(chunk => chunk.SampleCount == 0 ? ChunkResult.Empty : new([new SampledToken(3, -1, [])], []))]);

    static (int Start, int Count, int Depth, bool Introduces, int KnownDepth) Facts(ScheduledChunk chunk) =>
        (chunk.Start, chunk.Count, chunk.Depth, chunk.Introduces, chunk.KnownDepth);

    static int[] Prompt(int length, int kind = 0) => [.. Enumerable.Range(0, length).Select(position => 1000 * kind + position % 50)];
}
