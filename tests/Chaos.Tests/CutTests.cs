using System.Globalization;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Integration.Tests.Network;
using LlamaCluster.Integration.Tests.Network.Tun;
using LlamaCluster.Testing;
using Xunit.Abstractions;

namespace LlamaCluster.Chaos.Tests;

/// <summary>
/// Workers on machines of their own, as far as they can tell, whose links are cut under load: packets vanish for a while, and nobody is told. Every answer is
/// the undisturbed one to the last bit, none fails or hangs, and afterwards no block is held.
/// <para>
/// LLAMACLUSTER_CUT_SECONDS has links cut at random for so long instead, shortly and for longer than connections live, over links that are slow, narrow, and
/// lose and double packets, while workers are killed too. LLAMACLUSTER_CHAOS_SEED repeats the choices of a run, LLAMACLUSTER_CHAOS_LOG names a file that gets a
/// line for each cut.
/// </para>
/// </summary>
[Collection(nameof(MemoryAlone))]
public sealed class CutTests(ITestOutputHelper output)
{
    /// <summary>Many steps, and less than what anybody is suspected for.</summary>
    static readonly TimeSpan Short = TimeSpan.FromSeconds(0.7);

    static readonly LinkShape Usual = new(TimeSpan.FromMilliseconds(0.2), 1e9);

    static readonly double? Seconds = Environment.GetEnvironmentVariable("LLAMACLUSTER_CUT_SECONDS") is { } seconds ? double.Parse(seconds, CultureInfo.InvariantCulture) : null;
    static readonly int Seed = int.Parse(Environment.GetEnvironmentVariable("LLAMACLUSTER_CHAOS_SEED") ?? $"{Random.Shared.Next(1_000_000)}", CultureInfo.InvariantCulture);

    [NamespaceFact(faults: true)]
    public Task Stages_that_lose_sight_of_each_other_or_of_the_coordinator() => CutAsync(2, least: 1, ranks: 1, [CutKind.Heartbeats, CutKind.Steps, CutKind.Activations, CutKind.Weights, CutKind.Machine]);

    /// <summary>Shares stay, so both ranks are needed. By hand: the time that tests may take in all does not suffice for it.</summary>
    [NamespaceFact(faults: true, byHand: "LLAMACLUSTER_CUT_SECONDS")]
    public Task Ranks_that_lose_sight_of_each_other_or_of_the_coordinator() => CutAsync(2, least: 2, ranks: 2, [CutKind.Ranks, CutKind.Heartbeats, CutKind.Steps, CutKind.Machine]);

    async Task CutAsync(int workers, int least, int ranks, IReadOnlyList<CutKind> kinds)
    {
        output.WriteLine($"seed {Seed}: LLAMACLUSTER_CHAOS_SEED repeats it");
        var random = new Random(Seed + ranks);
        var faults = new LinkFaults(Usual, Seed);
        using var network = new NamespaceNetwork(workers + 1, faults);
        await using var cluster = await ChaosCluster.StartAsync(network, workers, least, ranks);
        using var levels = new KvLevels(cluster.Host.Meters);
        var load = Seconds is null ? await ChaosLoad.LearnAsync(cluster, levels, random, requests: 4, clients: 2) : await ChaosLoad.LearnAsync(cluster, levels, random);
        var cuts = new Cuts(cluster, network, faults, random, output);

        if (Seconds is { } seconds) await load.RunAsync(over => cuts.AtRandomAsync(kinds, mayKill: least < workers, over), TimeSpan.FromSeconds(seconds));
        else
            foreach (var kind in kinds)
            {
                await cluster.WaitAsync(status => status.IsReady && status.Shards.Length == workers, "all workers serve");   // as soon as nothing runs
                await load.RunAsync(_ => cuts.OneAsync(kind, Short), length: null);
            }
        faults.Shape = Usual;
        await load.RestAsync(workers);
        output.WriteLine($"{ranks} ranks: {load.Answers} answers over {cuts}; longest gap in a stream {load.LongestGap.TotalSeconds:0.00} s; {cluster.Host.Status.Value.ViewVersion % ClusterOwnership.ViewsPerEpoch} views");
    }
}
