using LlamaCluster.Integration.Tests.Up;
using Xunit.Abstractions;

namespace LlamaCluster.Chaos.Tests;

/// <summary>Kills, freezes and dismisses workers at random, and starts others in their places.</summary>
/// <param name="ranks">Of a stage. They keep their shares, so that with more than one somebody is hurt only while a spare is ready.</param>
sealed class Harm(ChaosCluster cluster, Random random, int ranks, ITestOutputHelper output)
{
    const string Kill = "KILL";
    const string Leave = "TERM";
    const string Freeze = "STOP";

    static readonly string? Log = Environment.GetEnvironmentVariable("LLAMACLUSTER_CHAOS_LOG");

    readonly List<string> _done = [];

    /// <summary>After so many it ends; null: never.</summary>
    public int? MostKills { get; init; }

    public int Count => _done.Count;

    public override string ToString() => string.Join(", ", _done.CountBy(how => how).Select(how => $"{how.Value} {how.Key}"));

    public async Task DoAsync(CancellationToken over)
    {
        List<Task> leaving = [];
        try
        {
            while (!over.IsCancellationRequested && !(_done.Count(how => how == Kill) >= MostKills))
            {
                if (ranks > 1)
                    await cluster.WaitAsync(status => status.IsReady && status.Workers is { Spare: > 0, Suspected: 0, Serving: > 1 }, "a spare is ready");
                await PassAsync(2.2);   // after the wait, so that it is no view's beginning that is always met
                var victim = cluster.Workers[random.Next(cluster.Workers.Count)];
                var how = random.Next(10) switch { < 6 => Kill, < 8 => Leave, _ => Freeze };
                _done.Add(how);
                if (Log is not null) await File.AppendAllTextAsync(Log, $"{DateTime.Now:T} {ranks} ranks: {this}\n", CancellationToken.None);
                if (how == Freeze)
                {
                    await Signals.SendAsync(how, victim.Id);
                    await PassAsync(5.2);
                    await Signals.SendAsync("CONT", victim.Id);
                    continue;
                }
                var ending = cluster.EndAsync(victim, how);
                if (random.Next(3) == 0) await PassAsync(1);
                cluster.Add();
                if (how == Leave) leaving.Add(ending);   // it computes on until others take over, and may be hurt no more
                else await ending;
            }
        }
        finally
        {
            await Task.WhenAll(leaving);
        }
        output.WriteLine($"{ranks} ranks: {this}");
    }

    Task PassAsync(double most) => ChaosLoad.PassAsync(TimeSpan.FromSeconds(most * random.NextDouble()));
}
