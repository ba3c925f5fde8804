using System.Diagnostics;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Observing;

/// <summary>
/// Looks at the cluster and writes down what it is like. It reads what others count and keep anyway, so nothing is computed for a token or a step;
/// looking costs only who looks. Used by one at a time.
/// </summary>
public sealed class ClusterObserver(
    Replica replica, Latest<ClusterStatus> status, WorkerRegistry registry, ViewLog views, CoordinatorMetrics metrics, LinkMeter links, ServedModel model,
    SupervisorOptions supervised, EngineOptions engine, IReplicaOverview overview, TimeProvider time, IDraftOverview? draft = null)
{
    /// <summary>Latencies are those of this while.</summary>
    static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    static readonly TimeSpan RecoveryWindow = TimeSpan.FromHours(1);

    readonly DateTimeOffset _started = Process.GetCurrentProcess().StartTime.ToUniversalTime();

    /// <summary>Completes when the cluster has changed other than by its counters.</summary>
    internal Task ChangedAsync(CancellationToken cancellation)
    {
        var (then, members) = (status.Value, registry.Snapshot);
        return Task.WhenAny(
            status.WaitAsync(now => !ReferenceEquals(now, then), cancellation), registry.WaitAsync(now => !ReferenceEquals(now, members), cancellation));
    }

    /// <param name="before">What was counted at an earlier moment, for rates; null: there are none.</param>
    internal (ClusterSnapshot Snapshot, CountedMoment Counted) Observe(CountedMoment? before)
    {
        var (now, members, history) = (status.Value, registry.Snapshot, views.History);
        var plan = members.Plan ?? history.LastPlan?.Plan;
        var counted = CountedMoment.Of(time.GetTimestamp(), metrics, replica.Name, plan);
        var passed = before is null ? 0 : time.GetElapsedTime(before.At, counted.At).TotalSeconds;
        var interval = passed > 0 ? new CountedInterval(before!, counted, passed) : null;
        var pipeline = new PipelinePicture(plan, history.LastPlan, members, new KnownLinks(links.Known), interval);
        var isInForce = members.Plan is not null;
        var engineStatus = replica.Status;
        var facts = new ReplicaFacts(
            replica.Name, engineStatus.Ready, engineStatus.IsRecovering, now.Phase.ToString().ToLowerInvariant(), engineStatus.Reason,
            new ViewFacts(plan?.ViewVersion ?? members.ViewVersion, isInForce), pipeline.Stages, pipeline.Links,
            history.LastPlan is { } planned ? PlanFacts.Of(planned) : null, LoadOf(counted.Replica.Now), TotalsOf(counted.Replica), pipeline.Rates,
            LatencyOf(counted.Replica), RecoveryOf(history, counted.Replica, engineStatus.Ready), [.. history.Views.Select(ViewOf)]);
        var utc = time.GetUtcNow();
        var counts = members.Count(supervised.Workers);
        return (new ClusterSnapshot(
            Seconds(utc), (utc - _started).TotalSeconds, Environment.MachineName, ModelOf(),
            new CountsByState(counts.Wanted, counts.Serving, counts.Spare, counts.Suspected, counts.SetAside, members.Unreachable.Length),
            [.. members.Members.Select(member => WorkerOf(member, members, now)), .. members.Unreachable.Select(Unreachable)], [facts])
        {
            Draft = draft is null ? null : DraftOf(draft.Facts, counted.Replica.ModelDrafts),
            Coordinators = overview.Replicas,
        }, counted);
    }

    internal static double Seconds(DateTimeOffset moment) => moment.ToUnixTimeMilliseconds() / 1e3;

    ModelFacts ModelOf() => new(
        model.Name, model.Digest, model.Size.Parameters, model.Size.Bytes, model.Size.Quantization, supervised.Footprint.LayerCount, model.ContextLength,
        KvTypeMapping.NameOf(engine.KvType));

    WorkerFacts WorkerOf(Member member, MembershipSnapshot members, ClusterStatus now)
    {
        var part = member.IsLost ? null : members.Plan?.Find(member.Id);
        var progress = now.Shards.FirstOrDefault(shard => shard.Worker == member.Id);
        var machine = member.Capabilities.Machine;
        return new WorkerFacts(
            member.Id.Value, member.Name, PeerAddress.Format(member.Address), member.ToCandidate().Host, StateOf(member, part, now),
            member.IsLost ? member.Loss : member.SetAside, part is null ? null : replica.Name, part?.Stage, part?.Shard.Slice.Rank,
            machine.MemoryBytes, machine.Threads, machine.MemoryReadBytesPerSecond, machine.MultiplyAddsPerSecond,
            member.Capabilities.InstructionSet, member.Capabilities.SoftwareVersion,
            progress is null || progress.Phase == LoadProgress.Types.Phase.Unspecified ? null
                : new LoadingFacts(
                    progress.Phase.ToString().ToLowerInvariant(), progress.BytesDone, progress.BytesTotal, progress.Fraction,
                    progress.BytesPerSecond, progress.SecondsLeft, progress.Source));
    }

    static string StateOf(Member member, ShardAssignment? part, ClusterStatus now) => member switch
    {
        { IsLost: true } => "lost",
        { State: MemberState.Draining } => "draining",
        { IsSuspected: true } => "suspected",
        _ when part is not null => now.Phase == ClusterPhase.Loading ? "loading" : "serving",
        { SetAside.Length: > 0 } => "set_aside",
        { State: MemberState.Joining } => "joining",
        _ => "spare",
    };

    static WorkerFacts Unreachable(UnreachableWorker worker) => new(
        null, worker.Name, PeerAddress.Format(worker.Address), worker.Address.Host, "unreachable", worker.Problem, null, null, null, 0, 0, 0, 0, "", "", null);

    LoadFacts LoadOf(SchedulerReadout now) => new(
        now.Running, engine.MaxRunning, now.Waiting, engine.MaxWaiting, now.BlocksHeld, now.BlocksCached, now.BlocksFree, KvBlock.Positions,
        now.Sessions, now.BlocksOnDisk);

    static TotalFacts TotalsOf(ReplicaReadout counted) => new(
        counted.Steps, counted.GeneratedTokens, counted.PromptTokens, counted.QueriedTokens, counted.HitTokens, counted.DraftedTokens, counted.AcceptedTokens,
        counted.Preemptions, counted.Ended);

    static DraftFacts DraftOf(DraftFacts draft, DraftReadout counted) => draft with { TokensDrafted = counted.Tokens, TokensAccepted = counted.Accepted };

    static LatencyFacts LatencyOf(ReplicaReadout counted) => new(QuantilesOf(counted.FirstTokens.Of(Window)), QuantilesOf(counted.TimesPerToken.Of(Window)));

    /// <param name="sorted">Shortest first.</param>
    internal static QuantileFacts QuantilesOf(IReadOnlyList<double> sorted)
    {
        double? At(double part) => sorted.Count == 0 ? null : sorted[Math.Min(sorted.Count - 1, (int)(part * sorted.Count))];
        return new QuantileFacts(sorted.Count, At(0.5), At(0.95));
    }

    static RecoveryFacts RecoveryOf(ViewHistory history, ReplicaReadout counted, bool ready)
    {
        var served = history.Views.LastOrDefault(view => view.Ready is not null);
        var isUnderWay = !ready && served is { Ended: not null };
        var recoveries = counted.Recoveries.Latest(RecoveryWindow);
        return new RecoveryFacts(isUnderWay ? Seconds(served!.Ended!.Value) : null, isUnderWay ? served!.End : "", recoveries?.TotalSeconds);
    }

    static ViewLogFacts ViewOf(ViewRecord view) => new(
        view.Version, view.Stages, view.Workers, view.KvBlocks, view.Choice, Seconds(view.Began), view.Ready is { } ready ? Seconds(ready) : null,
        view.Ended is { } ended ? Seconds(ended) : null, view.End, view.EndIsPlanned);
}
