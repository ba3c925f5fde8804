using System.Net;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Integration.Tests.Network;
using LlamaCluster.Integration.Tests.Network.Tun;
using LlamaCluster.Integration.Tests.Up;
using Xunit.Abstractions;

namespace LlamaCluster.Chaos.Tests;

/// <summary>Which connections a cut swallows.</summary>
enum CutKind
{
    /// <summary>A worker's to the coordinator.</summary>
    Heartbeats,

    /// <summary>The coordinator's to a worker, by which orders come too.</summary>
    Steps,

    /// <summary>From a stage to the next.</summary>
    Activations,

    /// <summary>All between two ranks of a stage.</summary>
    Ranks,

    /// <summary>A new worker's to the coordinator, in the middle of its weights.</summary>
    Weights,

    /// <summary>All of a worker's.</summary>
    Machine,
}

/// <summary>Cuts links of a cluster, one by one, and heals them.</summary>
sealed class Cuts(ChaosCluster cluster, NamespaceNetwork network, LinkFaults faults, Random random, ITestOutputHelper output)
{
    /// <summary>Of the demo model, whose shards are some megabytes.</summary>
    const long MiddleOfWeights = 500_000;

    /// <summary>Longer than connections live without an answer.</summary>
    const double LongestSeconds = 50;

    /// <summary>Where nobody can take over: a fraction of what sequences wait.</summary>
    const double LongestAloneSeconds = 15;

    static readonly string? Log = Environment.GetEnvironmentVariable("LLAMACLUSTER_CHAOS_LOG");

    readonly List<string> _done = [];

    public override string ToString() => string.Join(", ", _done.CountBy(what => what).Select(what => $"{what.Value} {what.Key}"));

    /// <summary>One that silences a worker lasts until its view is over.</summary>
    /// <param name="length">Of others.</param>
    public async Task OneAsync(CutKind kind, TimeSpan length)
    {
        var status = cluster.Host.Status.Value;
        var isOver = kind == CutKind.Machine ? cluster.WaitAsync(now => now.ViewVersion > status.ViewVersion || !now.IsReady, "the view is over") : null;
        await CutAsync(kind, status, isOver is null ? length : null, isOver);
    }

    /// <param name="mayKill">Others may take over.</param>
    public async Task AtRandomAsync(IReadOnlyList<CutKind> kinds, bool mayKill, CancellationToken over)
    {
        while (!over.IsCancellationRequested)
        {
            faults.Shape = new LinkShape(TimeSpan.FromMilliseconds(30 * Math.Pow(random.NextDouble(), 3)), 1e6 * Math.Pow(10, 1 + 2 * random.NextDouble()))
            {
                Loss = random.Next(2) == 0 ? 0 : 0.05 * random.NextDouble(),
                Duplicates = random.Next(2) == 0 ? 0 : 0.1 * random.NextDouble(),
            };
            await ChaosLoad.PassAsync(TimeSpan.FromSeconds(0.2 + 4 * random.NextDouble()));
            if (!mayKill) await cluster.WaitAsync(status => status.IsReady, "the view is back, since nobody can take over");
            if (cluster.Host.Status.Value is not { Shards.Length: > 0 } status) continue;
            if (mayKill && random.Next(6) == 0)
            {
                Note("kill");
                await cluster.EndAsync(cluster.Workers[random.Next(cluster.Workers.Count)], "KILL");
                cluster.Add();
            }
            else await CutAsync(kinds[random.Next(kinds.Count)], status,
                TimeSpan.FromSeconds(0.1 * Math.Pow(10 * (mayKill ? LongestSeconds : LongestAloneSeconds), random.NextDouble())));
        }
    }

    /// <param name="length">Null: until <paramref name="isOver"/>.</param>
    async Task CutAsync(CutKind kind, ClusterStatus status, TimeSpan? length, Task? isOver = null)
    {
        if (kind == CutKind.Weights && cluster.FreeMachine == network.Machines) await cluster.EndAsync(cluster.Workers[^1], "KILL");
        if (CutOf(kind, status) is not { } cut) return;
        Note($"{kind}", $": {cut} for {(length is { } time ? $"{time.TotalSeconds:0.0} s" : "as long as the view lasts")}");
        faults.Begin(cut);
        try
        {
            if (kind == CutKind.Weights)
            {
                cluster.Add();   // a spare, which loads at once
                await cut.Begun.WaitAsync(CliProcess.Deadline);
            }
            await (length is { } limit ? ChaosLoad.PassAsync(limit) : isOver!);
        }
        finally
        {
            faults.Heal(cut);
        }
    }

    /// <summary>Null: there is no such link now.</summary>
    LinkCut? CutOf(CutKind kind, ClusterStatus status)
    {
        var coordinator = cluster.Host.GrpcAddress;
        var worker = status.Shards[random.Next(status.Shards.Length)];
        return kind switch
        {
            CutKind.Heartbeats => new LinkCut(IpOf(worker.Address), IpOf(coordinator), coordinator.Port),
            CutKind.Steps => new LinkCut(IpOf(worker.Address), IpOf(coordinator), worker.Address.Port),
            CutKind.Activations => status.Shards.FirstOrDefault(next => next.Stage == worker.Stage + 1) is { } next
                ? new LinkCut(IpOf(worker.Address), IpOf(next.Address), next.Address.Port)
                : status.Shards.FirstOrDefault(before => before.Stage == worker.Stage - 1) is { } before
                    ? new LinkCut(IpOf(before.Address), IpOf(worker.Address), worker.Address.Port) : null,
            CutKind.Ranks => status.Shards.FirstOrDefault(other => other.Stage == worker.Stage && other != worker) is { } other
                ? new LinkCut(IpOf(worker.Address), IpOf(other.Address), port: null) : null,
            CutKind.Weights => new LinkCut(IPAddress.Parse(network.AddressOf(cluster.FreeMachine)), IpOf(coordinator), coordinator.Port, MiddleOfWeights),
            _ => new LinkCut(IpOf(worker.Address), other: null, port: null),
        };
    }

    void Note(string what, string details = "")
    {
        _done.Add(what);
        output.WriteLine($"{DateTime.Now:T} {what}{details}");
        if (Log is not null) File.AppendAllText(Log, $"{DateTime.Now:T} {what}{details}; {cluster.Host.Status.Value.Phase}\n");
    }

    static IPAddress IpOf(Uri address) => IPAddress.Parse(address.Host);
}
