using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator.Observing;

namespace LlamaCluster.Cli.Doctor;

/// <summary>Checks of a running cluster, by what its coordinator says of it. Pure.</summary>
static class ClusterChecks
{
    const double SlowLink = 100e6;          // bytes per second: less than gigabit Ethernet
    const double LongRoundTrip = 2e-3;
    const double SlowMemory = 0.5;          // of the usual
    const double ClockDrift = 1;
    const double ClockFault = 60;

    /// <param name="clock">How much later the coordinator's clock is than this machine's, in seconds.</param>
    public static IEnumerable<Diagnosis> Of(ClusterSnapshot cluster, double clock)
    {
        var replica = cluster.Replicas[0];
        yield return replica.Ready
            ? new("coordinator", Verdict.Ok, $"serves {cluster.Model.Id} on {Amount.Count(cluster.WorkerCounts.Serving, "worker")}")
            : new("coordinator", Verdict.Fail, $"not ready: {replica.Reason}", "see the workers below, and the coordinator's log");
        yield return Clock("coordinator's clock", clock);
        if (cluster.WorkerCounts is { Serving: var serving, Wanted: var wanted } && serving < wanted)
            yield return new("workers", Verdict.Warn, $"{serving} of {wanted} wanted serve", "start the others: llamacluster worker --coordinator URL");
        foreach (var worker in Troubled(cluster)) yield return worker;
        if (Versions(cluster) is { } versions) yield return versions;
        foreach (var slow in Slow(cluster)) yield return slow;
        foreach (var link in replica.Links.Select(link => LinkOf(cluster, link)).OfType<Diagnosis>().DistinctBy(link => (link.Check, link.Finding)))
            yield return link;
    }

    /// <param name="later">How much later the other clock is, in seconds.</param>
    public static Diagnosis Clock(string whose, double later) => Math.Abs(later) switch
    {
        < ClockDrift => new(whose, Verdict.Ok, "the same as here"),
        < ClockFault => new(whose, Verdict.Warn, $"{Apart(later)}: times of logs and traces do not agree",
            "run a time service on all machines (systemd-timesyncd, chrony)"),
        _ => new(whose, Verdict.Fail, $"{Apart(later)}: certificates may seem expired",
            "set the clock, and run a time service on all machines (systemd-timesyncd, chrony)"),
    };

    static string Apart(double later) => $"{Amount.Seconds(Math.Abs(later))} {(later > 0 ? "later" : "earlier")} than here";

    static IEnumerable<Diagnosis> Troubled(ClusterSnapshot cluster)
    {
        var present = cluster.Workers.Where(worker => worker.State != "lost").Select(worker => worker.Name).ToHashSet();
        foreach (var worker in cluster.Workers)
        {
            var check = $"worker {worker.Name}";
            if (worker.State == "unreachable")
                yield return new(check, Verdict.Fail, $"the coordinator cannot reach it at {worker.Address}: {worker.Problem}",
                    "start it with --listen and an address that the coordinator reaches, and open the port");
            else if (worker.State == "set_aside" || worker.Problem.Length > 0 && worker.State != "lost")
                yield return new(check, Verdict.Fail, $"set aside: {worker.Problem}", "see its log; it counts again when it is started anew");
            else if (worker.State == "suspected")
                yield return new(check, Verdict.Warn, "silent for longer than usual", "see whether its machine is overloaded, swaps, or has network trouble");
            else if (worker.State == "lost" && !present.Contains(worker.Name))
                yield return new(check, Verdict.Warn, $"was lost: {worker.Problem}", "start it again");
        }
    }

    static Diagnosis? Versions(ClusterSnapshot cluster)
    {
        var versions = cluster.Workers.Where(worker => worker.State != "lost" && worker.SoftwareVersion.Length > 0)
            .GroupBy(worker => worker.SoftwareVersion).ToList();
        return versions.Count > 1
            ? new("versions", Verdict.Warn, string.Join(", ", versions.Select(of => $"{of.Key} on {string.Join(" ", of.Select(worker => worker.Name))}")),
                "run the same version everywhere")
            : null;
    }

    /// <summary>Workers that read their memory much more slowly, for each thread, than others do.</summary>
    static IEnumerable<Diagnosis> Slow(ClusterSnapshot cluster)
    {
        var paces = cluster.Workers.Where(worker => worker is { State: not "lost", Threads: > 0, MemoryReadBytesPerSecond: > 0 })
            .Select(worker => (Worker: worker, Pace: worker.MemoryReadBytesPerSecond / worker.Threads)).OrderBy(pair => pair.Pace).ToList();
        if (paces.Count < 3) yield break;
        var usual = paces[paces.Count / 2].Pace;
        foreach (var (worker, pace) in paces.TakeWhile(pair => pair.Pace < SlowMemory * usual))
            yield return new($"worker {worker.Name}", Verdict.Warn, $"reads {Amount.ByteRate(pace)} a thread, where others read {Amount.ByteRate(usual)}",
                "see what else runs there; delete its measurements (--profiles) to have it measured anew");
    }

    static Diagnosis? LinkOf(ClusterSnapshot cluster, LinkFacts link)
    {
        if (link.SameHost) return null;
        string Name(string id) => cluster.Workers.FirstOrDefault(worker => worker.Id == id)?.Name ?? id;
        var check = $"{Name(link.From)} to {Name(link.To)}";
        if (link is not { BytesPerSecond: { } rate, RoundTripSeconds: { } roundTrip })
            return new(check, Verdict.Warn, "not measured", "see the coordinator's log for why; a firewall between the workers may be in the way");
        var finding = $"{Amount.BitRate(rate)}, {Amount.Seconds(roundTrip)} there and back";
        return rate < SlowLink
            ? new(check, Verdict.Warn, finding, "use a faster network; until then one worker of each machine in a stage of its own (--tensor-parallel 1)")
            : roundTrip > LongRoundTrip ? new(check, Verdict.Warn, finding, "every token waits for it: bring the machines closer together, or use fewer stages")
            : new(check, Verdict.Ok, finding);
    }
}
