using System.Globalization;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Integration.Tests.Network;
using LlamaCluster.Integration.Tests.Network.Tun;
using LlamaCluster.Testing;
using Xunit.Abstractions;

namespace LlamaCluster.Chaos.Tests;

/// <summary>
/// Workers on machines of their own, as far as they can tell, whose links are cut under load: packets vanish for a while, and nobody is told. Every answer is
/// the undisturbed one to the last bit, none fails or hangs, and afterwards no block is held. Cuts at random, for minutes, are in tests/Long.
/// LLAMACLUSTER_CHAOS_SEED repeats the choices of a run, LLAMACLUSTER_CHAOS_LOG names a file that gets a line for each cut.
/// </summary>
[Collection(nameof(MemoryAlone))]
public sealed class CutTests(ITestOutputHelper output)
{
    /// <summary>Many steps, and less than what anybody is suspected for.</summary>
    static readonly TimeSpan Short = TimeSpan.FromSeconds(0.7);

    static readonly LinkShape Usual = new(TimeSpan.FromMilliseconds(0.2), 1e9);

    static readonly int Seed = int.Parse(
        Environment.GetEnvironmentVariable("LLAMACLUSTER_CHAOS_SEED") ?? $"{Random.Shared.Next(1_000_000)}", CultureInfo.InvariantCulture);

    static readonly IReadOnlyList<CutKind> Kinds = [CutKind.Heartbeats, CutKind.Steps, CutKind.Activations, CutKind.Weights, CutKind.Machine];

    [NamespaceFact(faults: true)]
    public async Task Stages_that_lose_sight_of_each_other_or_of_the_coordinator()
    {
        const int workers = 2;
        output.WriteLine($"seed {Seed}: LLAMACLUSTER_CHAOS_SEED repeats it");
        var random = new Random(Seed);
        var faults = new LinkFaults(Usual, Seed);
        using var network = new NamespaceNetwork(workers + 1, faults);
        await using var cluster = await ChaosCluster.StartAsync(network, workers, least: 1, ranks: 1);
        using var levels = new KvLevels(cluster.Host.Meters);
        var load = await ChaosLoad.LearnAsync(cluster, levels, random, requests: 4, clients: 2);
        var cuts = new Cuts(cluster, network, faults, random, output);

        foreach (var kind in Kinds)
        {
            await cluster.WaitAsync(status => status.IsReady && status.Shards.Length == workers, "all workers serve");   // as soon as nothing runs
            await load.RunAsync(_ => cuts.OneAsync(kind, Short), length: null);
        }
        await load.RestAsync(workers);
        output.WriteLine($"{load.Answers} answers over {cuts}; longest gap in a stream {load.LongestGap.TotalSeconds:0.00} s; "
            + $"{cluster.Host.Status.Value.ViewVersion % ClusterOwnership.ViewsPerEpoch} views");
    }
}
