using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Tests.Scheduling;

namespace LlamaCluster.Coordinator.Tests.Replicas;

public sealed class PoisonWatchTests
{
    static readonly PipelineFailure Death = new(null, WorkerLost: true, "lost");

    readonly PoisonWatch _watch = new();

    [Fact]
    public void Who_was_under_way_twice_and_alone_behind_a_token_of_another_is_poisonous()
    {
        Assert.Null(_watch.ViewEnded(Death, [Step((1, 0, 5), (2, 0, 4))]));
        _watch.Generated(2, 1);
        Assert.Null(_watch.ViewEnded(Death, [Step((1, 0, 5), (2, 5, 1))]));
        Assert.Equal((true, false), (_watch.IsIsolated(1), _watch.IsIsolated(2)));
        Assert.Null(_watch.ViewEnded(Death, [Step((1, 0, 5))]));   // nobody has shown that this view's machines live
        _watch.Generated(2, 1);
        Assert.Equal(1ul, _watch.ViewEnded(Death, [Step((1, 0, 5))]));
    }

    [Fact]
    public void Where_nobody_else_got_a_token_machines_may_be_at_fault()
    {
        for (var i = 0; i < 5; i++) Assert.Null(_watch.ViewEnded(Death, [Step((1, 0, 5))]));
        _watch.Generated(2, 1);
        Assert.Equal(1ul, _watch.ViewEnded(Death, [Step((1, 0, 5))]));
    }

    [Fact]
    public void A_step_that_a_worker_could_not_carry_out_tells_more_than_a_death()
    {
        Assert.Null(_watch.ViewEnded(Death with { WorkerLost = false, IsStepError = true }, [Step((1, 0, 5))]));
        Assert.Equal(1ul, _watch.ViewEnded(Death with { WorkerLost = false, IsStepError = true }, [Step((1, 0, 5))]));
    }

    [Theory]
    [InlineData("token")]
    [InlineData("absence")]
    [InlineData("other positions")]
    public void Suspicion_ends_with(string what)
    {
        _watch.ViewEnded(Death, [Step((1, 8, 5))]);
        if (what == "token") _watch.Generated(1, 1);
        if (what == "absence") _watch.ViewEnded(Death, []);
        _watch.Generated(2, 1);
        Assert.Null(_watch.ViewEnded(Death, [what == "other positions" ? Step((1, 0, 8)) : Step((1, 8, 5))]));
        Assert.False(_watch.AnyIsolated);
    }

    [Fact]
    public void The_end_of_a_view_that_was_wanted_says_nothing()
    {
        for (var i = 0; i < 3; i++)
        {
            Assert.Null(_watch.ViewEnded(Death with { IsPlanned = true }, [Step((1, 0, 5))]));
            _watch.Generated(2, 1);
        }
        Assert.Equal(0, _watch.TimesOf(1));
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
            Assert.Null(_watch.ViewEnded(Death, [Step([.. Enumerable.Range(1, 8).Where(_ => random.Next(2) == 0).Select(id => ((ulong)id, 20, 1))])]));
        }
    }

    static ScheduledStep Step(params (ulong Id, int Start, int Count)[] chunks) =>
        new([.. chunks.Select(chunk => new ScheduledChunk(TestSequence.Of(chunk.Id, [1, 2, 3]), chunk.Start, chunk.Count, [], [], 1, false))], [], []);
}
