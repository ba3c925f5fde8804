using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Coordinator.Observing;

/// <summary>The stages of a plan with what their workers did lately, and the ways between them.</summary>
/// <param name="planned">The newest plan with its predictions.</param>
/// <param name="lately">Null: nothing is known to count from.</param>
sealed class PipelinePicture(ClusterPlan? plan, PlanOutcome.Planned? planned, MembershipSnapshot members, KnownLinks known, CountedInterval? lately)
{
    public IReadOnlyList<StageFacts> Stages => plan is null ? [] :
    [
        .. Enumerable.Range(0, plan.StageCount).Select(stage =>
        {
            var ranks = plan.Ranks(stage);
            var layers = ranks[0].Shard.Layers;
            var experts = PlanFacts.ExpertsOf(planned, ranks[0].Shard.Slice.Shares);
            return new StageFacts(stage, layers.First, layers.Count, experts, [.. ranks.ToArray().Select(RankOf)]);
        }),
    ];

    /// <summary>All ranks of a stage hold the same rows, so rank r of n feeds the ranks r, r + n... of the next stage.</summary>
    public IReadOnlyList<LinkFacts> Links
    {
        get
        {
            if (plan is null) return [];
            List<LinkFacts> links = [];
            for (var stage = 0; stage < plan.StageCount; stage++)
            {
                var ranks = plan.Ranks(stage).ToArray();
                for (var rank = 1; rank < ranks.Length; rank++)
                    links.Add(LinkOf(ranks[rank - 1], ranks[rank], "sums", lately?.RankRates(stage, rank - 1).SumBytes));
                if (stage + 1 == plan.StageCount) break;
                var next = plan.Ranks(stage + 1).ToArray();
                var fed = (next.Length + ranks.Length - 1) / ranks.Length;
                for (var to = 0; to < next.Length; to++)
                {
                    var from = to % ranks.Length;
                    var receivers = Math.Max(1, Math.Min(fed, (next.Length - from + ranks.Length - 1) / ranks.Length));
                    links.Add(LinkOf(ranks[from], next[to], "activations", lately?.RankRates(stage, from).ActivationBytes / receivers));
                }
            }
            return links;
        }
    }

    public RateFacts? Rates => lately is null ? null : new RateFacts(
        lately.Seconds, lately.PerSecond(counted => counted.GeneratedTokens), lately.PerSecond(counted => counted.PromptTokens),
        lately.PerSecond(counted => counted.Steps), lately.Steps > 0 ? lately.PerSecond(counted => counted.Rows) * lately.Seconds / lately.Steps : 0);

    RankFacts RankOf(ShardAssignment part)
    {
        var (stage, slice) = (part.Stage, part.Shard.Slice);
        var predicted = planned?.Plan.ViewVersion == plan!.ViewVersion ? planned.Pipeline.Prediction.Stages[stage].Memory[slice.Rank] : default;
        var memory = planned is null || predicted == default ? predicted : PlanFacts.MemoryOf(planned, predicted);
        var rates = lately?.RankRates(stage, slice.Rank);
        return new RankFacts(
            slice.Rank, part.Worker.Value, PlanFacts.ShareOf(slice.Shares, slice.Rank), (long)memory.Weights, (long)memory.Kv, (long)memory.Buffers,
            rates is null ? null : Math.Clamp(rates.Value.Busy, 0, 1), lately is { Steps: > 0 } ? rates!.Value.Busy * lately.Seconds / lately.Steps : null,
            rates?.ActivationBytes, rates?.SumBytes);
    }

    LinkFacts LinkOf(ShardAssignment from, ShardAssignment to, string kind, double? flow)
    {
        var isSame = HostOf(from) == HostOf(to);
        var link = isSame ? null : known.Find(from.Address, to.Address);
        return new LinkFacts(from.Worker.Value, to.Worker.Value, kind, isSame, link?.RoundTripSeconds, link?.BytesPerSecond, flow);
    }

    string HostOf(ShardAssignment part) => members.Find(part.Worker)?.ToCandidate().Host ?? part.Address.Host;
}

/// <summary>What had been counted at a moment.</summary>
/// <param name="At">A timestamp.</param>
/// <param name="Ranks">By stage and rank, for those of the plan.</param>
sealed record CountedMoment(long At, ReplicaReadout Replica, IReadOnlyDictionary<(int Stage, int Rank), RankReadout> Ranks)
{
    public static CountedMoment Of(long now, CoordinatorMetrics metrics, string replica, ClusterPlan? plan) => new(
        now, metrics.Read(replica),
        (plan?.Assignments ?? []).ToDictionary(
            part => (part.Stage, part.Shard.Slice.Rank),
            part => metrics.Stages.Read(replica, part.Stage, part.Shard.Slice.Rank)));
}

/// <summary>What was counted between two moments.</summary>
sealed record CountedInterval(CountedMoment Before, CountedMoment Now, double Seconds)
{
    public double Steps => Now.Replica.Steps - Before.Replica.Steps;

    public double PerSecond(Func<ReplicaReadout, long> count) => (count(Now.Replica) - count(Before.Replica)) / Seconds;

    /// <summary>Per second; busy as a part of the time.</summary>
    public (double Busy, double ActivationBytes, double SumBytes) RankRates(int stage, int rank)
    {
        if (!Now.Ranks.TryGetValue((stage, rank), out var now) || !Before.Ranks.TryGetValue((stage, rank), out var before)) return default;
        return (
            (now.BusySeconds - before.BusySeconds) / Seconds,
            (now.ActivationBytes - before.ActivationBytes) / Seconds,
            (now.SumBytes - before.SumBytes) / Seconds);
    }
}
