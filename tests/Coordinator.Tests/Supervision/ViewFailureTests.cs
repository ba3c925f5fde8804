using System.Collections.Immutable;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Coordinator.Tests.Supervision;

/// <summary>An exception in an attempt at a view is a failed attempt, never the end of the coordinator.</summary>
public sealed class ViewFailureTests
{
    public enum Stage
    {
        Measure,
        Plan,
        Load,
        Open,
        Serve,
    }

    [Theory]
    [InlineData(Stage.Measure)]
    [InlineData(Stage.Plan)]
    [InlineData(Stage.Load)]
    [InlineData(Stage.Open)]
    [InlineData(Stage.Serve)]
    public async Task What_an_attempt_throws_is_told_and_the_next_attempt_follows(Stage stage)
    {
        BrokenStages? broken = null;
        await using var cluster = await TestCluster.StartAsync(change: services =>
        {
            var real = services.Last(service => service.ServiceType == typeof(IViewStages));
            services.AddSingleton<IViewStages>(provider =>
                broken = new BrokenStages((IViewStages)ActivatorUtilities.CreateInstance(provider, real.ImplementationType!), stage));
        });
        await cluster.JoinAsync();
        await cluster.JoinAsync();
        var told = await cluster.StatusAsync(status => status.Reason.Contains("the attempt at a view failed"), "the failure is told");
        Assert.Contains("InvalidTimeZoneException", told.Reason);
        Assert.False(cluster.Engine.Status.Ready);
        broken!.Mend();
        await cluster.ReadyAsync();
        Assert.Equal(FakeModel.Continue([5, 6, 7], 10), await cluster.TokensAsync(TestCluster.Request([5, 6, 7])));
    }

    /// <summary>Stages of a view of which one throws until it is mended.</summary>
    sealed class BrokenStages(IViewStages real, Stage broken) : IViewStages
    {
        volatile bool _mended;

        public void Mend() => _mended = true;

        public Task<IReadOnlyDictionary<(string, string), Link>> MeasureAsync(IReadOnlyList<Member> members, CancellationToken cancellation)
        {
            Reach(Stage.Measure);
            return real.MeasureAsync(members, cancellation);
        }

        public PlanOutcome Plan(PlanRequest request)
        {
            Reach(Stage.Plan);
            return real.Plan(request);
        }

        public async Task<LoadOutcome> LoadAsync(
            PlanOutcome.Planned planned, IReadOnlyList<Member> members, ClusterPlan? last, Action<string, ImmutableArray<ShardProgress>> report,
            CancellationToken cancellation)
        {
            var outcome = await real.LoadAsync(planned, members, last, report, cancellation);
            Reach(Stage.Load);
            return outcome;
        }

        public Task<string?> PrepareAsync(PlanOutcome.Planned planned, Member member, CancellationToken cancellation) =>
            real.PrepareAsync(planned, member, cancellation);

        public async Task<PipelineOpening> OpenAsync(
            PlanOutcome.Planned planned, IReadOnlyList<Member> members, LoadOutcome.Loaded loaded, CancellationToken cancellation)
        {
            Reach(Stage.Open);
            var opening = await real.OpenAsync(planned, members, loaded, cancellation);
            return broken == Stage.Serve && !_mended ? new PipelineOpening.Opened(new Breaking(((PipelineOpening.Opened)opening).Pipeline)) : opening;
        }

        void Reach(Stage stage)
        {
            if (stage == broken && !_mended) throw Bug();
        }

        static InvalidTimeZoneException Bug() => new("what nobody expects");

        /// <summary>A pipeline whose end is an exception.</summary>
        sealed class Breaking(IPipeline real) : IPipeline
        {
            public ulong ViewVersion => real.ViewVersion;

            public int StageCount => real.StageCount;

            public int KvBlocks => real.KvBlocks;

            public Task<PipelineFailure> Lost { get; } = Task.FromException<PipelineFailure>(Bug());

            public Task<StepReturn> ExecuteAsync(Coordinator.Scheduling.ScheduledStep step) => real.ExecuteAsync(step);

            public void End(IReadOnlyList<ulong> sequences) => real.End(sequences);

            public void Abort(PipelineFailure failure) => real.Abort(failure);

            public ValueTask DisposeAsync() => real.DisposeAsync();
        }
    }
}
