using System.Collections.Concurrent;
using System.Diagnostics;
using LlamaCluster.Integration.Tests.Up;
using Xunit.Abstractions;

namespace LlamaCluster.Chaos.Tests;

/// <summary>
/// Workers are killed, frozen and told to leave at random, under load. Every answer is the undisturbed one to the last bit of its log-probabilities,
/// no request fails or hangs, and afterwards no block is held and memory is what it was.
/// <para>LLAMACLUSTER_CHAOS_SECONDS says how long, 90 unless it does; LLAMACLUSTER_CHAOS_SEED repeats the choices of a run.</para>
/// </summary>
public sealed class ChaosTests(ITestOutputHelper output)
{
    const int Clients = 6;
    const int Requests = 16;
    const long MostGrowth = 48 << 20;

    static readonly TimeSpan Length = TimeSpan.FromSeconds(double.Parse(Environment.GetEnvironmentVariable("LLAMACLUSTER_CHAOS_SECONDS") ?? "90"));
    static readonly int Seed = int.Parse(Environment.GetEnvironmentVariable("LLAMACLUSTER_CHAOS_SEED") ?? $"{Random.Shared.Next(1_000_000)}");

    readonly Dictionary<int, string> _undisturbed = [];
    int _answers;

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
        var client = new ChaosClient(cluster.Http);
        foreach (var number in Enumerable.Range(0, Requests)) _undisturbed[number] = await client.AnswerAsync(new ChaosRequest(number));

        await RunAsync(cluster, client, random, ranks, Length / 6);
        var before = await RestAsync(cluster, levels, workers);
        var hurt = await RunAsync(cluster, client, random, ranks, Length / 3);
        var grown = await RestAsync(cluster, levels, workers) - before;

        output.WriteLine($"{ranks} ranks: {_answers} answers over {string.Join(", ", hurt.CountBy(how => how).Select(how => $"{how.Value} {how.Key}"))}; longest gap in a stream {client.LongestGap.TotalSeconds:0.00} s; memory grew by {grown} bytes");
        Assert.InRange(grown, long.MinValue, MostGrowth);
        Assert.NotEmpty(hurt);
    }

    /// <summary>Load and harm at the same time, for so long.</summary>
    /// <returns>What was done to workers.</returns>
    async Task<List<string>> RunAsync(ChaosCluster cluster, ChaosClient client, Random random, int ranks, TimeSpan length)
    {
        using var over = new CancellationTokenSource(length);
        var seeds = Enumerable.Range(0, Clients).Select(_ => random.Next()).ToList();
        var clients = seeds.Select(seed => SendAsync(client, new Random(seed), over.Token)).ToList();
        var harm = HarmAsync(cluster, random, ranks, over.Token);
        foreach (var ended in clients.Append(harm)) await ended;
        return await harm;
    }

    async Task SendAsync(ChaosClient client, Random random, CancellationToken over)
    {
        while (!over.IsCancellationRequested)
        {
            var request = new ChaosRequest(random.Next(Requests));
            if (random.Next(8) == 0)
            {
                await client.AbandonAsync(request, random.Next(30));
                continue;
            }
            var answer = await client.AnswerAsync(request);
            Assert.True(_undisturbed[request.Number] == answer, $"seed {Seed}, request {request.Number}: expected\n{_undisturbed[request.Number]}\nbut got\n{answer}");
            Interlocked.Increment(ref _answers);
        }
    }

    async Task<List<string>> HarmAsync(ChaosCluster cluster, Random random, int ranks, CancellationToken over)
    {
        List<string> hurt = [];
        while (!over.IsCancellationRequested)
        {
            await PassAsync(TimeSpan.FromSeconds(0.2 + 2 * random.NextDouble()));
            if (ranks > 1) await cluster.WaitAsync(status => status.IsReady && status.Workers is { Spare: > 0, Suspected: 0, Serving: > 1 }, "a spare is ready");
            var victim = cluster.Workers[random.Next(cluster.Workers.Count)];
            var how = random.Next(10) switch { < 6 => "KILL", < 8 => "TERM", _ => "STOP" };
            hurt.Add(how);
            if (how == "STOP")
            {
                await Signals.SendAsync("STOP", victim.Id);
                await PassAsync(TimeSpan.FromSeconds(0.2 + 5 * random.NextDouble()));
                await Signals.SendAsync("CONT", victim.Id);
            }
            else
            {
                var ending = cluster.EndAsync(victim, how);
                if (random.Next(3) == 0) await PassAsync(TimeSpan.FromSeconds(random.NextDouble()));
                cluster.Add();
                await ending;
            }
        }
        return hurt;
    }

    /// <summary>Waits until all is as at the beginning.</summary>
    /// <returns>Bytes of memory that are in use.</returns>
    async Task<long> RestAsync(ChaosCluster cluster, KvLevels levels, int workers)
    {
        while (cluster.Workers.Count < workers) cluster.Add();
        await cluster.ReadyAsync(workers);
        // One that needs all blocks comes last: it waits until nobody holds one, and a worker that still had one for another would refuse it.
        var whole = new ChaosRequest(0).Body();
        (whole["prompt"], whole["max_tokens"], whole["n"], whole["ignore_eos"], whole["stop"]) = ("all of it", 500, 1, true, null);
        using var answer = await cluster.Http.PostAsync("/v1/completions", new StringContent(whole.ToJsonString(), System.Text.Encoding.UTF8, "application/json"));
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        Assert.True(
            SpinWait.SpinUntil(() => levels["llamacluster.kv.blocks.used"] + levels["llamacluster.sequences.running"] + levels["llamacluster.queue.length"] == 0, CliProcess.Deadline),
            $"{levels["llamacluster.kv.blocks.used"]} blocks are held, {levels["llamacluster.sequences.running"]} sequences run and {levels["llamacluster.queue.length"]} wait, although all have ended");
        Assert.Equal(ChaosCluster.KvTokens / 16, levels["llamacluster.kv.blocks.cached"] + levels["llamacluster.kv.blocks.free"]);
        return GC.GetTotalMemory(forceFullCollection: true);
    }

    static async Task PassAsync(TimeSpan time)
    {
        using var timer = new PeriodicTimer(time);
        await timer.WaitForNextTickAsync();
    }
}
