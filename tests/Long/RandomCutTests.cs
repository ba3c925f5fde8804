using System.Globalization;
using LlamaCluster.Chaos.Tests;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Integration.Tests.Network;
using LlamaCluster.Integration.Tests.Network.Tun;
using Xunit.Abstractions;

namespace LlamaCluster.Long.Tests;

/// <summary>
/// As <c>CutTests</c> of tests/Chaos.Tests, but links are cut at random, shortly and for longer than connections live. They are slow, narrow, and lose and
/// double packets. Workers are killed too, where others can take over:
/// <c>dotnet test tests/Long -c Release --filter RandomCut --logger "console;verbosity=detailed"</c>.
/// <para>
/// LLAMACLUSTER_CUT_SECONDS says how long each test cuts links, 600 unless it does. LLAMACLUSTER_CHAOS_SEED repeats the choices of a run,
/// LLAMACLUSTER_CHAOS_LOG names a file that gets a line for each cut.
/// </para>
/// </summary>
public sealed class RandomCutTests(ITestOutputHelper output)
{
    static readonly LinkShape Usual = new(TimeSpan.FromMilliseconds(0.2), 1e9);

    static readonly TimeSpan Length =
        TimeSpan.FromSeconds(double.Parse(Environment.GetEnvironmentVariable("LLAMACLUSTER_CUT_SECONDS") ?? "600", CultureInfo.InvariantCulture));
    static readonly int Seed =
        int.Parse(Environment.GetEnvironmentVariable("LLAMACLUSTER_CHAOS_SEED") ?? $"{Random.Shared.Next(1_000_000)}", CultureInfo.InvariantCulture);

    [NamespaceFact(faults: true)]
    public Task Stages_that_lose_sight_of_each_other_or_of_the_coordinator() =>
        CutAsync(2, least: 1, ranks: 1, [CutKind.Heartbeats, CutKind.Steps, CutKind.Activations, CutKind.Weights, CutKind.Machine]);

    /// <summary>Shares stay, so both ranks are needed.</summary>
    [NamespaceFact(faults: true)]
    public Task Ranks_that_lose_sight_of_each_other_or_of_the_coordinator() =>
        CutAsync(2, least: 2, ranks: 2, [CutKind.Ranks, CutKind.Heartbeats, CutKind.Steps, CutKind.Machine]);

    async Task CutAsync(int workers, int least, int ranks, IReadOnlyList<CutKind> kinds)
    {
        output.WriteLine($"seed {Seed}: LLAMACLUSTER_CHAOS_SEED repeats it");
        var random = new Random(Seed + ranks);
        var faults = new LinkFaults(Usual, Seed);
        using var network = new NamespaceNetwork(workers + 1, faults);
        await using var cluster = await ChaosCluster.StartAsync(network, workers, least, ranks);
        using var levels = new KvLevels(cluster.Host.Meters);
        var load = await ChaosLoad.LearnAsync(cluster, levels, random);
        var cuts = new Cuts(cluster, network, faults, random, output);

        await load.RunAsync(over => cuts.AtRandomAsync(kinds, mayKill: least < workers, over), Length);
        faults.Shape = Usual;
        await load.RestAsync(workers);
        output.WriteLine($"{ranks} ranks: {load.Answers} answers over {cuts}; longest gap in a stream {load.LongestGap.TotalSeconds:0.00} s; "
            + $"{cluster.Host.Status.Value.ViewVersion % ClusterOwnership.ViewsPerEpoch} views");
    }
}
