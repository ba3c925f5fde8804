using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>Whose blocks stay in memory when there is no room for all.</summary>
public sealed class SessionHoldsTests
{
    static readonly TimeSpan Hold = TimeSpan.FromMinutes(10);

    KvBlockPool _pool = null!;
    StepScheduler _scheduler = null!;
    ulong _lastId;

    public SessionHoldsTests() => Start(Hold);

    [Fact]
    public void A_sessions_blocks_outlive_those_of_nobody()
    {
        Run(Prompt(1), "talk");
        for (var i = 10; i < 20; i++) Run(Prompt(i));
        Assert.Equal((64, 64), (_scheduler.ResidentPositions("talk"), Cached(Prompt(1))));
    }

    [Fact]
    public void When_all_blocks_are_of_sessions_the_one_that_ended_first_goes_first_and_its_last_blocks_before()
    {
        Run(Prompt(1), "a");
        Run(Prompt(2), "b");
        Run(Prompt(1), "a");
        Run(Prompt(3), "c");   // of 12 blocks four are free, and it takes five
        Assert.Equal((64, 48, 64), (_scheduler.ResidentPositions("a"), _scheduler.ResidentPositions("b"), _scheduler.ResidentPositions("c")));
    }

    [Fact]
    public void After_its_time_a_sessions_blocks_are_like_all_others()
    {
        Run(Prompt(1), "talk");
        _scheduler.Advance(Hold);
        Assert.Equal(0, _scheduler.ResidentPositions("talk"));
        Assert.Equal(64, Cached(Prompt(1)));   // nothing else needed their place yet
        for (var i = 10; i < 20; i++) Run(Prompt(i));
        Assert.Equal(0, Cached(Prompt(1)));
    }

    [Fact]
    public void The_next_turn_begins_the_time_anew_and_takes_the_place_of_the_last()
    {
        Run(Prompt(1), "talk");
        _scheduler.Advance(Hold - TimeSpan.FromSeconds(1));
        Run([.. Prompt(1)[..32], .. Prompt(5)], "talk");   // it takes up two blocks of the turn before
        _scheduler.Advance(Hold + TimeSpan.FromSeconds(1));
        for (var i = 10; i < 20; i++) Run(Prompt(i));
        Assert.Equal(96, _scheduler.ResidentPositions("talk"));
        Assert.Equal(32, Cached(Prompt(1)));
    }

    [Fact]
    public void Blocks_of_two_sessions_stay_for_as_long_as_one_of_them_holds_them()
    {
        Run(Prompt(1), "a");
        _scheduler.Advance(TimeSpan.FromMinutes(6));
        Run(Prompt(1), "b");
        _scheduler.Advance(TimeSpan.FromMinutes(11));
        for (var i = 10; i < 20; i++) Run(Prompt(i));
        Assert.Equal((0, 64), (_scheduler.ResidentPositions("a"), _scheduler.ResidentPositions("b")));
    }

    [Fact]
    public void Blocks_that_went_and_came_back_for_another_are_not_let_go_with_the_first()
    {
        Run(Prompt(1), "a");
        Run(Prompt(2), "b");
        Run(Prompt(3), "c");   // a loses blocks
        _scheduler.Advance(TimeSpan.FromMinutes(5));
        Run(Prompt(4), "d");   // and d may have them
        _scheduler.Advance(Hold);
        for (var i = 10; i < 20; i++) Run(Prompt(i));
        Assert.Equal(64, _scheduler.ResidentPositions("d"));
    }

    /// <summary>Two sequences that did not share computed the same: the block that is found may be the other's.</summary>
    [Fact]
    public void A_block_that_another_sequence_computed_is_held_too()
    {
        Run(Prompt(1), logprobs: true);
        Run(Prompt(1), "talk", logprobs: true);
        Assert.Equal(64, _scheduler.ResidentPositions("talk"));
        for (var i = 10; i < 20; i++) Run(Prompt(i));
        Assert.Equal((64, 64), (_scheduler.ResidentPositions("talk"), Cached(Prompt(1))));
    }

    [Fact]
    public void Without_a_time_nothing_is_held()
    {
        Start(TimeSpan.Zero);
        Run(Prompt(1), "talk");
        Assert.Equal(0, _scheduler.ResidentPositions("talk"));
        for (var i = 10; i < 20; i++) Run(Prompt(i));
        Assert.Equal(0, Cached(Prompt(1)));
    }

    [Fact]
    public void What_failed_is_held_for_nobody()
    {
        var run = Add(Prompt(1), "talk");
        var step = _scheduler.Schedule()!;
        _scheduler.Complete(step, [ChunkResult.Failed("not finite")]);
        Assert.True(run.Ended);
        Assert.Equal(0, _scheduler.ResidentPositions("talk"));
        Assert.Equal(_pool.Total, _pool.Free);
    }

    void Start(TimeSpan hold)
    {
        _pool = new KvBlockPool(12);
        _scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = 1, SessionHold = hold }, _pool);
    }

    /// <param name="logprobs">It computes all of its prompt.</param>
    SequenceRun Add(int[] prompt, string? session = null, bool logprobs = false)
    {
        var sampling = new SamplingOptions { PromptLogprobs = logprobs };
        var run = TestSequence.Of(++_lastId, new SequenceRequest(prompt, sampling, 0, new HashSet<int>()) { SessionKey = session });
        Assert.Equal(AddOutcome.Queued, _scheduler.Add(run));
        return run;
    }

    SequenceRun Run(int[] prompt, string? session = null, bool logprobs = false)
    {
        var run = Add(prompt, session, logprobs);
        while (!run.Ended)
        {
            var step = _scheduler.Schedule()!;
            _scheduler.Complete(step, [.. step.Chunks.Select(_ => ChunkResult.Empty)]);
        }
        return run;
    }

    /// <summary>How many full blocks' positions the next sequence with this prompt finds.</summary>
    int Cached(int[] prompt) => Run(prompt).Sequence.CachedTokens!.Value / KvBlock.Positions * KvBlock.Positions;

    /// <summary>Four full blocks and one token.</summary>
    static int[] Prompt(int kind) => [.. Enumerable.Range(0, 65).Select(i => (1000 * kind) + i)];
}
