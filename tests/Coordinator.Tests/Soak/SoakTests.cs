using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Testing;
using Xunit.Abstractions;

namespace LlamaCluster.Coordinator.Tests.Soak;

/// <summary>
/// Random requests, many at a time, through three workers and a KV pool in which hardly two of them fit: streams that are read to the end or not,
/// choices, stops, log-probabilities. Every answer is the one that a single worker gives to that request alone, and afterwards nothing is left.
/// <para>LLAMACLUSTER_SOAK says how many requests; 100 unless it does.</para>
/// </summary>
[Collection(nameof(SoakAlone))]
public sealed class SoakTests(ITestOutputHelper output)
{
    const int Clients = 16;
    const int Blocks = 12;
    const int BlockSize = 16;

    static readonly int Requests = int.Parse(Environment.GetEnvironmentVariable("LLAMACLUSTER_SOAK") ?? "100");

    readonly ConcurrentDictionary<int, Task<string>> _expected = [];

    [Fact]
    public async Task Every_answer_is_right_and_nothing_is_left()
    {
        await using var alone = await RealCluster.StartAsync(1, With(new EngineOptions { MaxRunning = 1, CachePrefixes = false, Speculate = false }));
        await using var cluster = await RealCluster.StartAsync(
            3, With(new EngineOptions { KvTokens = Blocks * BlockSize, MaxRunning = 8, MaxPromptRows = 24, MaxWaiting = 1000 }));
        using var metrics = new MeterSums(cluster.Coordinator);
        using var truth = Http(alone);
        using var http = Http(cluster);
        var begun = Stopwatch.GetTimestamp();

        await RunAsync(new SoakClient(http), new SoakClient(truth), 0, Requests / 4);
        await DrainAsync(cluster, metrics);
        var (memory, timers) = (GC.GetTotalMemory(forceFullCollection: true), Timer.ActiveCount);
        await RunAsync(new SoakClient(http), new SoakClient(truth), Requests / 4, Requests);
        await DrainAsync(cluster, metrics);

        var grown = GC.GetTotalMemory(forceFullCollection: true) - memory;
        output.WriteLine($"{Requests} requests in {Stopwatch.GetElapsedTime(begun).TotalSeconds:F0} s: "
            + $"{metrics["llamacluster.sequences"]} sequences, {metrics["llamacluster.tokens.generated"]} tokens in "
            + $"{metrics["llamacluster.steps"]} steps, {metrics["llamacluster.preemptions"]} preemptions, "
            + $"{metrics["llamacluster.prefix_cache.hits"]} tokens from the cache, "
            + $"{metrics["llamacluster.speculation.accepted"]} of {metrics["llamacluster.speculation.drafted"]} guesses right; "
            + $"{grown / 1e6:F1} MB more memory and {Timer.ActiveCount - timers} more timers than after a quarter");
        Assert.True(metrics["llamacluster.preemptions"] > 0, "nobody gave way");
        Assert.InRange(grown, long.MinValue, 16 << 20);
        Assert.InRange(Timer.ActiveCount, 0, timers + 16);
    }

    static CoordinatorOptions With(EngineOptions engine) => TestCluster.Options with { ContextLength = Blocks * BlockSize, Engine = engine };

    static HttpClient Http(RealCluster cluster) => new() { BaseAddress = cluster.Coordinator.Host.ApiAddress, Timeout = TimeSpan.FromMinutes(2) };

    Task RunAsync(SoakClient client, SoakClient truth, int first, int end)
    {
        var next = first - 1;
        return Task.WhenAll(Enumerable.Range(0, Clients).Select(async _ =>
        {
            for (var number = Interlocked.Increment(ref next); number < end; number = Interlocked.Increment(ref next)) await TryAsync(client, truth, number);
        }));
    }

    async Task TryAsync(SoakClient client, SoakClient truth, int number)
    {
        var random = new Random(1_000_000 + number);
        // Some requests come again.
        var request = new SoakRequest(random.Next(Math.Max(1, Requests / 3)));
        var expected = await _expected.GetOrAdd(request.Number, _ => truth.WholeAsync(request));
        switch (random.Next(8))
        {
            case 0:
                await client.AbandonAsync(request);
                break;
            case 1 or 2:
                var (begun, _) = await client.StreamAsync(request, random.Next(20));
                Assert.All(begun.Zip(Texts(expected)), pair => Assert.StartsWith(pair.First, pair.Second, StringComparison.Ordinal));
                break;
            case 3 or 4 or 5:
                var (texts, finishes) = await client.StreamAsync(request, int.MaxValue);
                Assert.Equal(Texts(expected), texts);
                Assert.Equal(JsonNode.Parse(expected)!.AsArray().Select(choice => (string?)choice!["finish_reason"]), finishes);
                break;
            default:
                Assert.Equal(expected, await client.WholeAsync(request));
                break;
        }
    }

    static IEnumerable<string> Texts(string choices) => JsonNode.Parse(choices)!.AsArray().Select(choice => (string)choice!["text"]!);

    /// <summary>
    /// A request that needs every block there is comes last: it waits until nobody holds one, and a worker that still had one for another
    /// sequence would refuse it.
    /// </summary>
    static async Task DrainAsync(RealCluster cluster, MeterSums metrics)
    {
        int[] prompt = [.. DemoCase.Text(Blocks * BlockSize - 10).Reverse()];
        Assert.Equal(10, (await cluster.Coordinator.TokensAsync(TestCluster.Request(prompt, 10) with { CacheSalt = "drain" })).Length);

        bool IsIdle() =>
            metrics.Level("llamacluster.kv.blocks.used") + metrics.Level("llamacluster.sequences.running") + metrics.Level("llamacluster.queue.length") == 0;
        Assert.True(SpinWait.SpinUntil(IsIdle, WaitExtensions.Deadline), "the coordinator does not come to rest");
        Assert.Equal(Blocks, metrics.Level("llamacluster.kv.blocks.cached") + metrics.Level("llamacluster.kv.blocks.free"));
    }
}
