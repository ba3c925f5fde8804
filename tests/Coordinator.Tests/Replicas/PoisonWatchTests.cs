using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Tests.Scheduling;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Replicas;

public sealed class PoisonWatchTests
{
    static readonly PipelineFailure Death = new(null, WorkerLost: true, "lost");

    readonly ManualTimeProvider _time = new();
    readonly PoisonWatch _watch;

    public PoisonWatchTests() => _watch = new PoisonWatch(_time);

    [Fact]
    public void Who_was_under_way_twice_and_alone_behind_a_token_of_another_is_poisonous()
    {
        Assert.Null(Ended(Death, [Step((1, 0, 5), (2, 0, 4))]));
        _watch.Generated(2, 1);
        Assert.Null(Ended(Death, [Step((1, 0, 5), (2, 5, 1))]));
        Assert.Equal((true, false), (_watch.IsIsolated(1), _watch.IsIsolated(2)));
        Assert.Null(Ended(Death, [Step((1, 0, 5))]));   // nobody has shown that this view's machines live
        _watch.Generated(2, 1);
        Assert.Equal(1ul, Ended(Death, [Step((1, 0, 5))]));
    }

    [Fact]
    public void Where_nobody_else_got_a_token_machines_may_be_at_fault()
    {
        for (var i = 0; i < 5; i++) Assert.Null(Ended(Death, [Step((1, 0, 5))]));
        _watch.Generated(2, 1);
        Assert.Equal(1ul, Ended(Death, [Step((1, 0, 5))]));
    }

    [Fact]
    public void A_step_that_a_worker_could_not_carry_out_tells_more_than_a_death()
    {
        Assert.Null(Ended(Death with { WorkerLost = false, IsStepError = true }, [Step((1, 0, 5))]));
        Assert.Equal(1ul, Ended(Death with { WorkerLost = false, IsStepError = true }, [Step((1, 0, 5))]));
    }

    [Theory]
    [InlineData("token")]
    [InlineData("absence")]
    [InlineData("other positions")]
    public void Suspicion_ends_with(string what)
    {
        Ended(Death, [Step((1, 8, 5))]);
        if (what == "token") _watch.Generated(1, 1);
        if (what == "absence") Ended(Death, []);
        _watch.Generated(2, 1);
        Assert.Null(Ended(Death, [what == "other positions" ? Step((1, 0, 8)) : Step((1, 8, 5))]));
        Assert.False(_watch.AnyIsolated);
    }

    [Fact]
    public void The_end_of_a_view_that_was_wanted_says_nothing()
    {
        for (var i = 0; i < 3; i++)
        {
            Assert.Null(Ended(Death with { IsPlanned = true }, [Step((1, 0, 5))]));
            _watch.Generated(2, 1);
        }
        Assert.Equal(0, _watch.TimesOf(1));
    }

    [Fact]
    public void Workers_that_lost_sight_of_each_other_prove_nothing()
    {
        for (var i = 0; i < 3; i++)
        {
            Assert.Null(Ended(Death with { WorkerLost = false, IsConnectionOnly = true }, [Step((1, 0, 5))]));
            _watch.Generated(2, 1);
        }
        Assert.Equal(0, _watch.TimesOf(1));
    }

    [Fact]
    public void Each_of_several_poisonous_ones_is_found()
    {
        var error = Death with { WorkerLost = false, IsStepError = true };
        for (var i = 0; i < 2; i++) Assert.Null(Ended(error, [Step((1, 0, 5), (2, 0, 5))]));
        for (var i = 0; i < 2; i++) Assert.Equal(3ul * (ulong)i, Ended(error, [Step((3, 0, 5))]) ?? 0);   // the others are held meanwhile
        Assert.Equal(1ul, Ended(error, [Step((1, 0, 5))]));
        Assert.Equal(2ul, Ended(error, [Step((2, 0, 5))]));
    }

    /// <summary>Random kills: most hit a sequence that has got a token since the last one, or one of several.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Random_kills_poison_nobody(int seed)
    {
        var random = new Random(seed);
        for (var kill = 0; kill < 1000; kill++)
        {
            for (ulong id = 1; id <= 8; id++)
                if (random.Next(50) > 0) _watch.Generated(id, 1);
            Assert.Null(Ended(Death, [Step([.. Enumerable.Range(1, 8).Where(_ => random.Next(2) == 0).Select(id => ((ulong)id, 20, 1))])]));
        }
    }

    [Fact]
    public void The_first_deaths_in_a_long_time_tell_more_than_others()
    {
        _time.Advance(PoisonWatch.Calm);
        Assert.Null(Ended(Death, [Step((1, 0, 5), (2, 8, 1))]));
        Assert.Equal((true, true), (_watch.IsWatched(1), _watch.AnyWatched));
        _watch.Generated(2, 1);
        Assert.Equal(1ul, Ended(Death, [Step((1, 0, 5), (2, 9, 1))]));
    }

    [Fact]
    public void Where_workers_die_anyway_three_deaths_may_be_chance()
    {
        for (ulong id = 11; id < 15; id++) Ended(Death, [Step((id, 0, 3))]);
        for (var times = 1; times <= 5; times++)
        {
            _watch.Generated(2, 1);
            Assert.Equal(times < 5 ? null : 1ul, Ended(Death, [Step((1, 0, 5))]));
        }
        Assert.Null(Ended(Death, [Step((3, 0, 5))]));
        _time.Advance(PoisonWatch.Calm - TimeSpan.FromSeconds(1));   // still not calm, but the others are long ago
        _watch.Forget(3);
        Ended(Death, []);
        _time.Advance(TimeSpan.FromSeconds(2));
        for (var times = 1; times <= 3; times++)
        {
            _watch.Generated(2, 1);
            Assert.Equal(times < 3 ? null : 4ul, Ended(Death, [Step((4, 0, 5))]));
        }
    }

    [Theory]
    [InlineData("it was not calm")]
    [InlineData("nobody else went on")]
    [InlineData("it is not the only suspect")]
    [InlineData("it is no newcomer")]
    [InlineData("the worker had left another step to do")]
    [InlineData("nobody died the second time")]
    [InlineData("other positions")]
    [InlineData("a token between")]
    public void Two_deaths_prove_nothing_where(string what)
    {
        if (what != "it was not calm") _time.Advance(PoisonWatch.Calm);
        var one = what == "it is no newcomer" ? (Id: 7ul, Start: 3, Count: 1) : (Id: 1ul, Start: 8, Count: 5);
        var other = Step((5, 0, 3));
        Assert.Null(Ended(Death, [Step(one, (2, 8, 1), (3, 4, 1))], what == "the worker had left another step to do" ? other : null));
        _time.Advance(TimeSpan.FromSeconds(3));
        if (what != "nobody else went on") _watch.Generated(2, 1);
        if (what is not ("nobody else went on" or "it is not the only suspect")) _watch.Generated(3, 1);
        if (what == "a token between") _watch.Generated(1, 1);
        var second = Step(what == "other positions" ? (1, 0, 8) : one, (2, 9, 1), (3, 4, 1));
        if (what == "nobody else went on") second = Step(one);
        Assert.Null(Ended(what == "nobody died the second time" ? Death with { WorkerLost = false } : Death, [second]));
        Assert.False(_watch.AnyWatched);
    }

    /// <param name="left">Null: the first one.</param>
    ulong? Ended(PipelineFailure failure, ScheduledStep[] underWay, ScheduledStep? left = null) =>
        _watch.ViewEnded(failure, underWay, left ?? underWay.FirstOrDefault());

    /// <summary>Sequence 7 has got tokens, others none.</summary>
    static ScheduledStep Step(params (ulong Id, int Start, int Count)[] chunks) =>
        new([.. chunks.Select(chunk => new ScheduledChunk(RunOf(chunk.Id), chunk.Start, chunk.Count, [], [], 1, false))], [], []);

    static SequenceRun RunOf(ulong id) => TestSequence.Of(
        id, new SequenceRequest([1, 2, 3], new SamplingOptions(), 10, new HashSet<int>()) { SoFar = id == 7 ? new SequenceSoFar([9], 0) : null });
}
