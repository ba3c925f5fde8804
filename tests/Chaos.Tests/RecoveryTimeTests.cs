using System.Diagnostics;
using LlamaCluster.Integration.Tests.Up;
using Xunit.Abstractions;

namespace LlamaCluster.Chaos.Tests;

/// <summary>
/// How long a stream pauses when a worker is killed: from the signal to the next token. LLAMACLUSTER_RECOVERY_RUNS says how often, once unless it
/// does. The bound is for machines that do other things too; docs/benchmarks.md has what a quiet one takes.
/// </summary>
public sealed class RecoveryTimeTests(ITestOutputHelper output)
{
    static readonly int Runs = int.Parse(Environment.GetEnvironmentVariable("LLAMACLUSTER_RECOVERY_RUNS") ?? "1");
    static readonly TimeSpan Bound = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData("a spare takes the place", 3, 2, 1)]
    [InlineData("a spare takes a rank's place", 3, 2, 2)]
    [InlineData("the survivor takes over", 2, 2, 1)]
    public async Task The_next_token_comes_soon(string how, int workers, int wanted, int ranks)
    {
        await using var cluster = await ChaosCluster.StartAsync(workers, wanted, ranks);
        await PauseAsync(cluster, kills: false);
        List<double> seconds = [];
        for (var run = 0; run < Runs; run++)
        {
            seconds.Add((await PauseAsync(cluster, kills: true)).TotalSeconds);
            if (run == Runs - 1) break;
            cluster.Add();
            await cluster.WaitAsync(
                status => status.IsReady && status.Workers.Serving == wanted && status.Workers.Spare == workers - wanted, "the cluster is as before");
            await PauseAsync(cluster, kills: false);   // a spare is warm, and the streams between are undisturbed
        }
        seconds.Sort();
        output.WriteLine($"{how}: median {seconds[seconds.Count / 2]:0.000} s of {Runs}, {seconds[0]:0.000} to {seconds[^1]:0.000} s");
        Assert.InRange(seconds[seconds.Count / 2], 0, Bound.TotalSeconds);
    }

    /// <summary>Runs a stream, and kills a worker that serves it once it runs.</summary>
    /// <returns>From the signal to the first token after the longest pause that followed.</returns>
    static async Task<TimeSpan> PauseAsync(ChaosCluster cluster, bool kills)
    {
        const int Kill = 60;
        using var stream = await EventStream.OpenAsync(
            cluster.Http, """{"prompt":"Once upon a time","max_tokens":250,"temperature":0,"ignore_eos":true,"stream":true}""");
        List<long> at = [];
        long killed = 0;
        while (await stream.TryReadAsync())
        {
            at.Add(Stopwatch.GetTimestamp());
            if (at.Count != Kill || !kills) continue;
            var serving = cluster.Host.Status.Value.Shards[0].WorkerName;
            killed = Stopwatch.GetTimestamp();
            await cluster.KillAsync(serving);
        }
        if (!kills) return TimeSpan.Zero;
        var longest = Enumerable.Range(Kill, at.Count - Kill).MaxBy(i => at[i] - at[i - 1]);
        return Stopwatch.GetElapsedTime(killed, at[longest]);
    }
}
