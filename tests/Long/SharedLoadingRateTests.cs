using System.Diagnostics;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit.Abstractions;

namespace LlamaCluster.Long.Tests;

/// <summary>
/// How fast workers that have no file of a model of a thousand million weights load it, from the coordinator and from each other, and what the coordinator
/// sends: three stages at the same time, then a spare, which loads what one of them has. From a worker's start to the news that the weights are there:
/// <c>dotnet test tests/Long -c Release --filter SharedLoadingRate --logger "console;verbosity=detailed"</c>.
/// </summary>
public sealed class SharedLoadingRateTests(ITestOutputHelper output) : IDisposable
{
    const int Stages = 3;
    const int LongestSeconds = 300;

    readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Weights_come_from_the_coordinator_and_from_other_workers()
    {
        foreach (var shares in new[] { false, true }) await MeasureAsync(shares);
    }

    async Task MeasureAsync(bool shares)
    {
        var (from, path) = (shares ? "peer" : "coordinator", RandomGguf.Write(_folder.File("model.gguf")));
        var bytes = new FileInfo(path).Length;
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(LongestSeconds));
        await using var cluster = new RealCluster
        {
            Coordinator = await TestCluster.StartAsync(
                TestCluster.Options with { ModelPath = path, SharesWeights = shares, TensorParallel = 1, Workers = Stages }),
            Change = options => options with { CacheFolder = _folder.File($"{from}-{options.Name}"), MemoryBytes = 4L << 30 },
        };
        File.Delete(path);
        for (var i = 1; i < Stages; i++) await cluster.AddAsync();
        var clock = Stopwatch.StartNew();
        await cluster.AddAsync();   // the last that they wait for
        await cluster.Coordinator.Host.Status.WaitAsync(status => status.IsReady, deadline.Token);
        var seconds = clock.Elapsed.TotalSeconds;
        using var sums = new MeterSums(cluster.Coordinator);
        var sent = (long)sums["llamacluster.weights.sent"];
        output.WriteLine($"{from}, {Stages} stages: {bytes / 1e6:0} MB in {seconds:0.00} s, {bytes / 1e6 / seconds:0} MB/s; the coordinator sent {sent} bytes");

        clock.Restart();
        await cluster.AddAsync();
        var registry = cluster.Coordinator.Host.Services.GetRequiredService<WorkerRegistry>();
        await registry.WaitAsync(now => now.StandingBy.Count == 1, deadline.Token);
        seconds = clock.Elapsed.TotalSeconds;
        var spare = new DirectoryInfo(_folder.File($"{from}-real{Stages}")).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length);
        sent = (long)sums["llamacluster.weights.sent"] - sent;
        output.WriteLine($"{from}, a spare: {spare / 1e6:0} MB in {seconds:0.00} s, {spare / 1e6 / seconds:0} MB/s; the coordinator sent {sent} bytes");
    }
}
