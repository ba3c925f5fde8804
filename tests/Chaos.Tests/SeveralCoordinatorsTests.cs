using System.Globalization;
using LlamaCluster.Integration.Tests.Several;
using LlamaCluster.Testing;
using Xunit.Abstractions;

namespace LlamaCluster.Chaos.Tests;

/// <summary>
/// Two coordinators that share sessions, under load; one of them is killed again and again. Every text is the undisturbed one, no answered turn is lost, no
/// session has two turns at once, and nobody alive is taken for dead.
/// <para>
/// LLAMACLUSTER_SEVERAL_SECONDS says how long (12 unless it does), LLAMACLUSTER_SEVERAL_SESSIONS how many conversations at a time (8),
/// LLAMACLUSTER_SEVERAL_KILL_SECONDS how often one is killed (4), LLAMACLUSTER_SEVERAL_THINK_SECONDS how long clients wait before each turn (0).
/// </para>
/// </summary>
public sealed class SeveralCoordinatorsTests(ITestOutputHelper output)
{
    const int Scripts = 6;

    static readonly TimeSpan Length = TimeSpan.FromSeconds(Number("SECONDS", 12));
    static readonly TimeSpan KillEvery = TimeSpan.FromSeconds(Number("KILL_SECONDS", 4));
    static readonly TimeSpan Thinking = TimeSpan.FromSeconds(Number("THINK_SECONDS", 0));
    static readonly int Sessions = (int)Number("SESSIONS", 8);

    [RedisFact]
    public async Task No_answered_turn_is_lost_and_no_text_is_wrong_while_coordinators_die()
    {
        var seed = Random.Shared.Next(1_000_000);
        output.WriteLine($"seed {seed}");
        await using var cluster = await SeveralCluster.StartAsync(2, "--sessions-per-client", "100000", "--max-waiting", "4000");
        await using var leases = await LeaseLog.StartAsync(new Uri(cluster.Redis.Url));
        var clients = new SeveralClients(cluster);
        var expected = new IReadOnlyList<string>[Scripts];
        foreach (var script in Enumerable.Range(0, Scripts)) expected[script] = await clients.ConverseAsync(new SeveralScript(script), null, () => 0);
        foreach (var script in Enumerable.Range(0, 2))
            await clients.ConverseAsync(new SeveralScript(script), expected[script], () => 1);   // on the other replica

        using var over = new CancellationTokenSource(Length);
        var load = Enumerable.Range(0, Sessions).Select(client => ConverseAsync(clients, client, expected, new Random(seed + client), over.Token));
        var crowd = CrowdAsync(clients, new Random(seed - 1), over.Token);
        var killing = KillAsync(cluster, clients, new Random(seed), over.Token);
        await Task.WhenAll([.. load, crowd, killing]);

        var evicted = cluster.Nodes.Sum(node => node.Logs.Count(log => log.Contains("took this one for dead")));
        output.WriteLine($"{clients.Answered} turns answered over {await killing} kills; {clients.Broken} connections broke, "
            + $"{clients.Refused} answers said to try again; {leases.Taken} leases, "
            + $"{leases.TakenFromTheDead} of them from dead holders; {evicted} false evictions");
        output.WriteLine($"answered after their failure: {Describe([.. clients.Waits.Select(wait => wait.Seconds)])}; "
            + $"turns that did not fail took {Describe(clients.Undisturbed)}");
        foreach (var (seconds, course) in clients.Waits.OrderDescending().Take(5)) output.WriteLine($"{seconds:0.00} s: {course}");
        foreach (var (reason, times) in clients.Reasons) output.WriteLine($"{times} x {reason}");
        Assert.True(leases.Mistakes.Count == 0, string.Join('\n', leases.Mistakes));
        Assert.Equal(0, evicted);
        Assert.True(await killing > 0 && clients.Answered > Scripts * SeveralScript.Turns);
    }

    static async Task ConverseAsync(SeveralClients clients, int client, IReadOnlyList<string>[] expected, Random random, CancellationToken over)
    {
        for (var script = client % Scripts; !over.IsCancellationRequested; script = random.Next(Scripts))
            await clients.ConverseAsync(new SeveralScript(script), expected[script], () => random.Next(2), Thinking);
    }

    static async Task CrowdAsync(SeveralClients clients, Random random, CancellationToken over)
    {
        while (!over.IsCancellationRequested)
            await clients.CrowdAsync(clients: 3, turns: 2, () =>
            {
                lock (random) return random.Next(2);
            });
    }

    /// <returns>How many were killed.</returns>
    static async Task<int> KillAsync(SeveralCluster cluster, SeveralClients clients, Random random, CancellationToken over)
    {
        using var timer = new PeriodicTimer(KillEvery);
        var kills = 0;
        while (!over.IsCancellationRequested)
        {
            await timer.WaitForNextTickAsync();
            var victim = random.Next(cluster.Nodes.Count);
            clients.NoteKill(victim);
            await cluster.Nodes[victim].KillAsync();
            kills++;
            await cluster.StartAsync(cluster.Nodes[victim]);
            await cluster.AllReadyAsync();
        }
        return kills;
    }

    static string Describe(IReadOnlyCollection<double> seconds)
    {
        var sorted = seconds.Order().ToList();
        return sorted.Count == 0 ? "none" : string.Create(
            CultureInfo.InvariantCulture,
            $"{sorted.Count}, median {sorted[sorted.Count / 2]:0.00} s, 99 of 100 within {sorted[sorted.Count * 99 / 100]:0.00} s, "
                + $"longest {sorted[^1]:0.00} s");
    }

    static double Number(string name, double otherwise)
        => Environment.GetEnvironmentVariable($"LLAMACLUSTER_SEVERAL_{name}") is { } given ? double.Parse(given, CultureInfo.InvariantCulture) : otherwise;
}
