using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Coordinator.Observing;

/// <summary>What is to be different from the cluster that there is. Null: as it is.</summary>
/// <param name="Workers">How many. Beyond those that there are, machines like them.</param>
/// <param name="MemoryBytes">Of each worker.</param>
/// <param name="Quantization">The type or mix of the model's matrices.</param>
/// <param name="LinkBytesPerSecond">Between all hosts, with <paramref name="LinkRoundTripSeconds"/>.</param>
/// <param name="TensorParallel">Workers of each stage; 0: as the planner finds best.</param>
public sealed record WhatIfQuestion(
    int? Workers, long? MemoryBytes, string? Quantization, double? LinkBytesPerSecond, double? LinkRoundTripSeconds, int? TensorParallel, int? Streams,
    PlanObjective? Objective)
{
    /// <summary>Whether ranks have whole experts.</summary>
    public ExpertParallel? ExpertParallel { get; init; }
}

/// <summary>What the planner says. Predicted, not measured.</summary>
/// <param name="Plan">Null: there is none.</param>
/// <param name="Refused">Why there is no plan, with the sum that shows it; empty if there is one.</param>
public sealed record WhatIfAnswer(int Workers, int Hosts, string Model, long WeightBytes, PlanFacts? Plan, string Refused)
{
    public string Object => "cluster.plan";

    public bool Predicted => true;
}

/// <summary>Asks the planner what another cluster, or another form of the model, would give. Starts nothing and changes nothing.</summary>
/// <param name="footprintOf">The served model with its matrices of a type or mix.</param>
public sealed class WhatIf(SupervisorOptions options, WorkerRegistry registry, LinkMeter meter, Func<string, ModelFootprint> footprintOf)
{
    /// <summary>Planning more takes seconds.</summary>
    public const int MostWorkers = 128;

    /// <summary>A link that is said without a round trip: Ethernet within a room.</summary>
    const double UsualRoundTrip = 100e-6;

    const string CopyPrefix = "more-";

    /// <summary>Planning takes a processor, so one plan is made at a time.</summary>
    readonly SemaphoreSlim _oneAtATime = new(1);

    /// <returns>Null if others asked first, and were not answered within the time.</returns>
    public async Task<WhatIfAnswer?> AskAsync(WhatIfQuestion question, TimeSpan patience, CancellationToken cancellation)
    {
        if (!await _oneAtATime.WaitAsync(patience, cancellation)) return null;
        try
        {
            return await Task.Run(() => Answer(question), cancellation);
        }
        finally
        {
            _oneAtATime.Release();
        }
    }

    internal WhatIfAnswer Answer(WhatIfQuestion question)
    {
        var footprint = question.Quantization is { } mix ? footprintOf(mix) : options.Footprint;
        var workers = WorkersOf(question);
        var ranks = question.TensorParallel is { } asked ? (asked == 0 ? null : (int?)asked) : options.TensorParallel;
        var request = options.RequestFor(registry.Snapshot.ViewVersion + 1, workers) with
        {
            Footprint = footprint,
            TensorParallel = ranks,
            ExpertParallel = question.ExpertParallel ?? options.ExpertParallel,
            Streams = question.Streams ?? options.Streams,
            Objective = question.Objective ?? options.Objective,
            Links = LinksOf(question, workers),
        };
        var planned = ClusterPlanner.Plan(request);
        return new WhatIfAnswer(
            workers.Count, workers.Select(worker => worker.Host).Distinct().Count(), footprint.Name, (long)footprint.Bytes,
            planned is PlanOutcome.Planned plan ? PlanFacts.Of(plan) : null, planned is PlanOutcome.Refused refused ? refused.Reason : "");
    }

    /// <summary>The workers that there are, serving ones first; beyond them the same again, on machines of their own.</summary>
    List<CandidateWorker> WorkersOf(WhatIfQuestion question)
    {
        var now = registry.Snapshot;
        CandidateWorker[] there =
        [
            .. now.Members.Where(member => !member.IsLost).OrderBy(member => !now.IsAssigned(member.Id)).ThenBy(member => member.Name, StringComparer.Ordinal)
                .Select(member => member.ToCandidate()),
        ];
        if (there.Length == 0) return [];
        var wanted = Math.Clamp(question.Workers ?? Math.Min(there.Length, options.Workers), 1, MostWorkers);
        return
        [
            .. Enumerable.Range(0, wanted).Select(i =>
                WithMemory(i < there.Length ? there[i] : Copy(there[i % there.Length], i / there.Length, i), question.MemoryBytes)),
        ];
    }

    static CandidateWorker Copy(CandidateWorker worker, int round, int index) => worker with
    {
        Id = new WorkerId($"{CopyPrefix}{index}"),
        Name = $"{worker.Name}+{round}",
        Address = new Uri($"http://{CopyPrefix}{index}:1"),
        Machine = worker.Machine with { HostId = $"{worker.Host}+{round}" },
    };

    static CandidateWorker WithMemory(CandidateWorker worker, long? bytes) =>
        bytes is { } memory ? worker with { Machine = worker.Machine with { MemoryBytes = memory } } : worker;

    /// <summary>As was said, else as was measured. What is neither, the planner takes to be like the slowest of these.</summary>
    Dictionary<(string, string), Link> LinksOf(WhatIfQuestion question, List<CandidateWorker> workers)
    {
        Dictionary<(string, string), Link> links = [];
        var known = new KnownLinks(meter.Known);
        CandidateWorker[] speakers = [.. workers.DistinctBy(worker => worker.Host)];
        for (var a = 0; a < speakers.Length; a++)
            for (var b = a + 1; b < speakers.Length; b++)
            {
                var link = question.LinkBytesPerSecond is { } rate ? new Link(question.LinkRoundTripSeconds ?? UsualRoundTrip, rate)
                    : IsCopy(speakers[a]) || IsCopy(speakers[b]) ? null
                    : known.Find(speakers[a].Address, speakers[b].Address);
                if (link is { } way) links[(speakers[a].Host, speakers[b].Host)] = way;
            }
        return links;
    }

    static bool IsCopy(CandidateWorker worker) => worker.Id.Value.StartsWith(CopyPrefix, StringComparison.Ordinal);
}
