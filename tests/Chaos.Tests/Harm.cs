using LlamaCluster.Integration.Tests.Up;
using Xunit.Abstractions;

namespace LlamaCluster.Chaos.Tests;

/// <summary>Kills, freezes and dismisses workers at random, and starts others in their places.</summary>
/// <param name="ranks">Of a stage. They keep their shares, so that with more than one somebody is hurt only while a spare is ready.</param>
sealed class Harm(ChaosCluster cluster, Random random, int ranks, ITestOutputHelper output)
{
    const string Kill = "KILL";

    static readonly string? Log = Environment.GetEnvironmentVariable("LLAMACLUSTER_CHAOS_LOG");

    readonly List<string> _done = [];

    /// <summary>After so many it ends; null: never.</summary>
    public int? MostKills { get; init; }

    public int Count => _done.Count;

    public override string ToString() => string.Join(", ", _done.CountBy(how => how).Select(how => $"{how.Value} {how.Key}"));

    public async Task DoAsync(CancellationToken over)
    {
        while (!over.IsCancellationRequested && !(_done.Count(how => how == Kill) >= MostKills))
        {
            await ChaosLoad.PassAsync(TimeSpan.FromSeconds(0.2 + 2 * random.NextDouble()));
            if (ranks > 1) await cluster.WaitAsync(status => status.IsReady && status.Workers is { Spare: > 0, Suspected: 0, Serving: > 1 }, "a spare is ready");
            var victim = cluster.Workers[random.Next(cluster.Workers.Count)];
            var how = random.Next(10) switch { < 6 => Kill, < 8 => "TERM", _ => "STOP" };
            _done.Add(how);
            if (Log is not null) await File.AppendAllTextAsync(Log, $"{DateTime.Now:T} {ranks} ranks: {this}\n", CancellationToken.None);
            if (how == "STOP")
            {
                await Signals.SendAsync("STOP", victim.Id);
                await ChaosLoad.PassAsync(TimeSpan.FromSeconds(0.2 + 5 * random.NextDouble()));
                await Signals.SendAsync("CONT", victim.Id);
            }
            else
            {
                var ending = cluster.EndAsync(victim, how);
                if (random.Next(3) == 0) await ChaosLoad.PassAsync(TimeSpan.FromSeconds(random.NextDouble()));
                cluster.Add();
                await ending;
            }
        }
        output.WriteLine($"{ranks} ranks: {this}");
    }
}
