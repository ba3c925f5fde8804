using Xunit.Abstractions;

namespace LlamaCluster.Chaos.Tests;

/// <summary>
/// Workers are killed, frozen and told to leave at random, under load. Every answer is the undisturbed one to the last bit of its log-probabilities,
/// no request fails or hangs, and afterwards no block is held and memory is what it was.
/// <para>
/// LLAMACLUSTER_CHAOS_SECONDS says how long, 90 unless it does, or LLAMACLUSTER_CHAOS_KILLS how many workers are killed, half of them for each
/// of the two clusters. LLAMACLUSTER_CHAOS_SEED repeats the choices of a run. LLAMACLUSTER_CHAOS_LOG names a file that gets a line for
/// everything that is done to a worker.
/// </para>
/// </summary>
[Collection(nameof(MemoryAlone))]
public sealed class ChaosTests(ITestOutputHelper output)
{
    const long MostGrowth = 48 << 20;

    static readonly TimeSpan Length = TimeSpan.FromSeconds(double.Parse(Environment.GetEnvironmentVariable("LLAMACLUSTER_CHAOS_SECONDS") ?? "90"));
    static readonly int? Kills = Environment.GetEnvironmentVariable("LLAMACLUSTER_CHAOS_KILLS") is { } kills ? int.Parse(kills) / 2 : null;
    static readonly int Seed = int.Parse(Environment.GetEnvironmentVariable("LLAMACLUSTER_CHAOS_SEED") ?? $"{Random.Shared.Next(1_000_000)}");

    /// <summary>
    /// Stages are as many as there are workers for: any number gives the same bits. Ranks of a stage keep their shares, so somebody is hurt only while
    /// a spare is ready.
    /// </summary>
    [Theory]
    [InlineData(4, 3, 1)]
    [InlineData(4, 2, 2)]
    public async Task No_token_is_wrong_no_request_hangs_and_nothing_is_left(int workers, int wanted, int ranks)
    {
        output.WriteLine($"seed {Seed}: LLAMACLUSTER_CHAOS_SEED repeats it");
        var random = new Random(Seed + ranks);
        await using var cluster = await ChaosCluster.StartAsync(workers, wanted, ranks);
        using var levels = new KvLevels(cluster.Host.Meters);
        var load = await ChaosLoad.LearnAsync(cluster, levels, random);

        await RunAsync(load, new Harm(cluster, random, ranks, output) { MostKills = Kills / 20 }, Length / 6);
        var before = await load.RestAsync(workers);
        var harm = new Harm(cluster, random, ranks, output) { MostKills = Kills };
        await RunAsync(load, harm, Length / 3);
        var grown = await load.RestAsync(workers) - before;

        output.WriteLine($"{ranks} ranks: {load.Answers} answers over {harm}; longest gap in a stream {load.LongestGap.TotalSeconds:0.00} s; "
            + $"memory grew by {grown} bytes");
        Assert.InRange(grown, long.MinValue, MostGrowth);
        Assert.True(harm.Count > 0);
    }

    static Task RunAsync(ChaosLoad load, Harm harm, TimeSpan length) => load.RunAsync(harm.DoAsync, Kills is null ? length : null);
}
