using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>What sequences take over from others. That it is the right KV is <see cref="Simulation"/>'s to check.</summary>
public sealed class PrefixCacheTests
{
    readonly KvBlockPool _pool = new(100);
    StepScheduler _scheduler;
    ulong _lastId;

    public PrefixCacheTests() => _scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = 1 }, _pool);

    [Theory]
    [InlineData(5, 4, 1)]
    [InlineData(16, 15, 1)]
    [InlineData(17, 16, 0)]
    [InlineData(40, 39, 1)]
    [InlineData(64, 63, 1)]
    [InlineData(1, 0, 0)]
    public void The_same_prompt_again_is_computed_from_its_last_token(int length, int cached, int copies)
    {
        var prompt = Prompt(length);
        Finish(Add(prompt));
        var again = Add(prompt);
        var step = _scheduler.Schedule()!;
        Assert.Equal(cached, again.Sequence.CachedTokens);
        Assert.Equal((cached, length - cached, 1), (step.Chunks[0].Start, step.Chunks[0].Count, step.Chunks[0].SampleCount));
        Assert.Equal(copies, step.Copies.Count);
        Assert.All(step.Copies, copy => Assert.Equal(step.Chunks[0].NewBlocks[^1], copy.Target));
    }

    [Fact]
    public void Choices_of_one_prompt_cost_one_prefill()
    {
        var choices = Enumerable.Range(0, 8).Select(_ => Add(Prompt(100))).ToList();
        var first = _scheduler.Schedule()!;
        Assert.Equal((choices[0], 100), (Assert.Single(first.Chunks).Run, first.Rows));
        Return(first);
        var second = _scheduler.Schedule()!;
        Assert.Equal(8, second.Rows);   // the first one's second token, and the last token of the prompt of each other
        Assert.Equal(7, second.Copies.Count);
        Assert.All(choices[1..], choice => Assert.Equal(99, choice.Sequence.CachedTokens));
        Assert.Equal(6 + 8, _pool.Held);
    }

    [Fact]
    public void Who_begins_like_another_that_is_being_computed_waits_for_it_and_others_do_not()
    {
        _scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = 2, MaxPromptRows = 50 }, _pool);
        SequenceRun first = Add(Prompt(200)), alike = Add([.. Prompt(160), 1, 2, 3]),
            other = Add(Prompt(20, kind: 1), client: "b"), below = Add(Prompt(200), priority: -1, client: "c");
        List<(SequenceRun Run, int Start)> chunks = [];
        for (var i = 0; i < 8; i++)
        {
            var step = _scheduler.Schedule()!;
            chunks.AddRange(step.Chunks.Select(chunk => (chunk.Run, chunk.Start)));
            Return(step);
        }
        Assert.Equal((below, 0), chunks[0]);   // it comes before the others in priority, and waits for none of them
        Assert.Contains((other, 0), chunks.TakeWhile(chunk => chunk.Run != alike));
        Assert.Equal((199, 160), (first.Sequence.CachedTokens, alike.Sequence.CachedTokens));
    }

    [Fact]
    public void A_prompt_under_way_that_is_cancelled_keeps_nobody_waiting()
    {
        var first = Add(Prompt(300));
        var step = _scheduler.Schedule()!;
        var alike = Add(Prompt(300));
        _scheduler.Cancel(first);
        Return(step);
        Assert.Equal((alike, 128), _scheduler.Schedule()!.Chunks.Select(chunk => (chunk.Run, chunk.Start)).Single());
    }

    [Fact]
    public void Generated_tokens_are_found_too()
    {
        var first = Add(Prompt(20), maxTokens: 30);
        Finish(first);
        var turn = Add([.. first.Tokens, 1, 2, 3]);
        _scheduler.Schedule();
        Assert.Equal(48, turn.Sequence.CachedTokens);   // the 50th token was never computed
    }

    /// <summary>What is computed of a turn is what is new, the last token of the turn before, and what that leaves of a block.</summary>
    [Fact]
    public void Blocks_that_guesses_filled_are_found_like_others()
    {
        for (var tokens = 1; tokens <= 40; tokens++)
        {
            _scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = 1, MaxDraftTokens = 7 }, new KvBlockPool(100));
            var first = Add([.. Enumerable.Repeat(5, 20)], maxTokens: tokens);
            Finish(first);
            var turn = Add([.. first.Tokens, 1, 2, 3]);
            _scheduler.Schedule();
            Assert.Equal((20 + tokens - 1) / 16 * 16, turn.Sequence.CachedTokens);
            Assert.True(tokens < 5 || _scheduler.Drafted.Accepted(DraftSource.Ngram) > 0);
        }
    }

    [Fact]
    public void An_end_among_guesses_leaves_what_was_guessed_behind_it_out()
    {
        _scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = 1, MaxDraftTokens = 7 }, _pool);
        int[] prompt = [1, .. Enumerable.Repeat(5, 3), .. Enumerable.Range(0, 8).Select(i => 20 + i), .. Enumerable.Repeat(5, 3)];
        var first = TestSequence.Of(++_lastId, prompt, 20, stopIds: 21);
        _scheduler.Add(first);
        Complete(_scheduler.Schedule()!, 20);
        var step = _scheduler.Schedule()!;
        Assert.Equal([21, 22], step.Chunks[0].Drafts);
        Complete(step, [.. step.Chunks[0].Drafts, 40]);
        Assert.True(first.Ended);
        Assert.Equal([.. prompt, 20, 21], first.Tokens);
        var turn = Add([.. first.Tokens, 1, 2, 3]);
        _scheduler.Schedule();
        Assert.Equal(16, turn.Sequence.CachedTokens);
    }

    void Complete(ScheduledStep step, params int[] tokens)
    {
        _scheduler.Complete(step, [new ChunkResult([.. tokens.Select(id => new SampledToken(id, -1, []))], [])]);
        SchedulerInvariants.Check(_scheduler);
    }

    [Fact]
    public void Scores_of_a_prompt_are_computed_and_serve_others()
    {
        var scored = new SamplingOptions { PromptLogprobs = true };
        Finish(Add(Prompt(40)));
        var sequence = Add(Prompt(40), sampling: scored);
        Assert.Equal(40, _scheduler.Schedule()!.Rows);
        Assert.Equal(0, sequence.Sequence.CachedTokens);
        Assert.Equal(40, _scheduler.QueriedTokens);   // the first one's; the other did not ask
        _scheduler.Cancel(sequence);
    }

    [Fact]
    public void Salts_keep_their_prefixes_to_themselves()
    {
        Finish(Add(Prompt(40), salt: "mine"));
        var other = Add(Prompt(40));
        Finish(other);
        var mine = Add(Prompt(40), salt: "mine");
        Finish(mine);
        Assert.Equal((0, 39), (other.Sequence.CachedTokens, mine.Sequence.CachedTokens));
    }

    [Fact]
    public void Blocks_let_go_the_longest_ago_are_used_first_and_of_those_the_last_of_their_sequence()
    {
        var pool = new KvBlockPool(8);
        _scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = 1 }, pool);
        foreach (var kind in new[] { 1, 2 }) Finish(Add(Prompt(64, kind), maxTokens: 0));
        Assert.Equal((4, 4), (CachedOf(1), CachedOf(2)));
        Finish(Add(Prompt(16, kind: 1), maxTokens: 0));   // copies the first kind's first block, which is the youngest now
        Finish(Add(Prompt(48, kind: 3), maxTokens: 0));
        Assert.Equal((1, 4), (CachedOf(1), CachedOf(2)));

        int CachedOf(int kind)
        {
            var prompt = Prompt(64, kind);
            var keys = TestSequence.Of(1, prompt).Keys;
            return Enumerable.Range(1, 4).TakeWhile(blocks => pool.Find(keys.Of(blocks * 16)) is not null).Count();
        }
    }

    [Fact]
    public void A_sequence_that_needs_all_blocks_computes_what_it_could_have_copied()
    {
        _scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = 1 }, new KvBlockPool(3));
        Finish(Add(Prompt(40), maxTokens: 1));
        var again = Add(Prompt(40), maxTokens: 1);
        Finish(again);
        Assert.Equal(32, again.Sequence.CachedTokens);
    }

    [Fact]
    public void Nothing_that_a_failed_sequence_has_run_on_is_found_again()
    {
        Finish(Add(Prompt(16)));   // what both begin with
        var failing = Add(Prompt(70));
        var step = _scheduler.Schedule()!;
        var sharing = Add(Prompt(64), maxTokens: 1);
        var advance = Assert.Single(_scheduler.Complete(step, [ChunkResult.Failed("not finite")]));
        Assert.Equal((failing, "not finite", null), (advance.Run, advance.Failure, advance.Finished));
        Assert.Equal((true, 0), (failing.Ended, _pool.Held));
        Assert.Equal(0, _pool.Cached);
        Finish(sharing);
        Assert.Equal(0, sharing.Sequence.CachedTokens);
        var again = Add(Prompt(64), maxTokens: 1);
        Finish(again);
        Assert.Equal(63, again.Sequence.CachedTokens);   // what was computed anew
    }

    [Fact]
    public void What_a_sequence_has_run_on_that_failed_for_another_reason_serves_others()
    {
        var failing = Add(Prompt(70));
        _scheduler.Complete(_scheduler.Schedule()!, [ChunkResult.Failed("its grammar cannot be followed", isSound: true)]);
        Assert.Equal((true, 0, 5), (failing.Ended, _pool.Held, _pool.Cached));
        var again = Add(Prompt(70), maxTokens: 1);
        Finish(again);
        Assert.Equal(69, again.Sequence.CachedTokens);
    }

    [Fact]
    public void A_sequence_that_copied_a_bad_block_takes_its_source_out_of_the_cache()
    {
        Finish(Add(Prompt(20), maxTokens: 1));
        var copying = Add(Prompt(20));
        var step = _scheduler.Schedule()!;
        Assert.Single(step.Copies);
        _scheduler.Complete(step, [ChunkResult.Failed("not finite")]);
        var again = Add(Prompt(20));
        Finish(again);
        Assert.Equal((19, 0), (copying.Sequence.CachedTokens, again.Sequence.CachedTokens));
    }

    [Fact]
    public void Who_shares_a_block_of_a_failed_sequence_goes_on_and_so_does_the_step()
    {
        SequenceRun failing = Add(Prompt(40)), other = Add(Prompt(30, kind: 1), client: "b");
        var step = _scheduler.Schedule()!;
        Assert.Equal(2, step.Chunks.Count);
        _scheduler.Complete(
            step,
            [.. step.Chunks.Select(chunk => chunk.Run == failing ? ChunkResult.Failed("not finite") : new ChunkResult([new SampledToken(5, -1, [])], []))]);
        Assert.Equal([other], _scheduler.Running);
        Finish(other);
        Assert.Equal(5, other.Sequence.GeneratedLength);
    }

    [Fact]
    public void Thirty_two_requests_with_a_common_prefix_save_almost_all_of_the_work()
    {
        _scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = 2 }, new KvBlockPool(1000));
        for (var i = 0; i < 32; i++) Add([.. Prompt(400), .. Prompt(20, kind: 10 + i)], maxTokens: 1, client: $"client {i % 5}");
        var rows = 0;
        Queue<ScheduledStep> inFlight = [];
        while (true)
        {
            while (_scheduler.Schedule() is { } step)
            {
                rows += step.Rows;
                inFlight.Enqueue(step);
            }
            if (!inFlight.TryDequeue(out var returned)) break;
            Return(returned);
        }
        Assert.Equal(400 + (32 * 20), rows);   // of 32 * 420: 92 % less
    }

    SequenceRun Add(int[] prompt, int maxTokens = 5, SamplingOptions? sampling = null, int priority = 0, string client = "", string salt = "")
    {
        var sequence = TestSequence.Of(++_lastId, new SequenceRequest(prompt, sampling ?? new SamplingOptions(), maxTokens, new HashSet<int>())
        {
            Priority = priority,
            Client = client,
            CacheSalt = salt,
        });
        Assert.Equal(AddOutcome.Queued, _scheduler.Add(sequence));
        return sequence;
    }

    void Finish(SequenceRun sequence)
    {
        while (!sequence.Ended) Return(_scheduler.Schedule()!);
    }

    void Return(ScheduledStep step)
    {
        _scheduler.Complete(
            step, [.. step.Chunks.Select(chunk => new ChunkResult([.. Enumerable.Repeat(new SampledToken(5, -1, []), chunk.SampleCount)], []))]);
        SchedulerInvariants.Check(_scheduler);
    }

    static int[] Prompt(int length, int kind = 0) => [.. Enumerable.Range(0, length).Select(position => 1000 + (kind * 1000) + position)];
}
