using System.Net;
using LlamaCluster.Cluster.Telemetry;
using LlamaCluster.Worker.Measuring;
using LlamaCluster.Worker.Tests.Fakes;

namespace LlamaCluster.Worker.Tests.Measuring;

/// <summary>What Prometheus gets of a worker.</summary>
public class WorkerMetricsTests(ModelFile file) : IClassFixture<ModelFile>
{
    [Fact]
    public async Task Metrics_SayWhatTheWorkerHoldsAndRan()
    {
        await using var first = await TestWorker.StartAsync(WithMetrics);
        await using var second = await TestWorker.StartAsync();
        using var http = new HttpClient { BaseAddress = first.Host.MetricsAddress };
        var before = await ReadAsync(http);
        Assert.Equal("1", before["llamacluster_shard_state{state=\"idle\"}"]);
        Assert.DoesNotContain(before, series => series.Key.StartsWith("llamacluster_shard_info", StringComparison.Ordinal));

        await using var pipeline = await TestPipeline.StartAsync([first, second], file.Path, file.Digest, file.Layers);
        for (var step = 0; step < 5; step++) await pipeline.ExecuteAsync(pipeline.Step((ulong)step + 1, step * 3, 10, 20, 30));

        // A step is answered before it is counted, and its bytes are counted last.
        var sent = $"{5 * 3 * file.Model.Config.HiddenSize * sizeof(float)}";
        var after = await Deadline.Within(ReadUntilAsync(http, "llamacluster_shard_activations_sent_bytes_total{}", sent), "the last step's bytes");
        Assert.Equal(("1", "0"), (after["llamacluster_shard_state{state=\"ready\"}"], after["llamacluster_shard_state{state=\"idle\"}"]));
        Assert.Equal(("5", "15"), (after["llamacluster_shard_steps_total{}"], after["llamacluster_shard_rows_total{}"]));
        foreach (var part in new[] { "compute", "wait", "send" }) Assert.Equal("5", after[$"llamacluster_shard_{part}_duration_seconds_count{{}}"]);
        Assert.Contains(after, series => series.Key.StartsWith("llamacluster_shard_info{", StringComparison.Ordinal) && series.Key.Contains("stage=\"0\""));
        Assert.True(long.Parse(after["llamacluster_shard_resident_bytes{}"]) > long.Parse(after["llamacluster_shard_kv_size_bytes{}"]));
    }

    [Fact]
    public async Task Metrics_HaveAnAddressOfTheirOwn()
    {
        await using var worker = await TestWorker.StartAsync(WithMetrics);
        using var http = new HttpClient();
        using (var elsewhere = await http.GetAsync(new Uri(worker.Host.MetricsAddress!, "/health")))
            Assert.Equal(HttpStatusCode.NotFound, elsewhere.StatusCode);
        using var grpc = new HttpRequestMessage(HttpMethod.Get, new Uri(worker.Host.Address, MetricsExport.Path))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        using var refused = await http.SendAsync(grpc);
        Assert.Equal(HttpStatusCode.NotFound, refused.StatusCode);
        Assert.Equal(
            $"Metrics are at {worker.Host.MetricsAddress}",
            Assert.Single(worker.Log.Lines, line => line.StartsWith("Metrics", StringComparison.Ordinal)));
    }

    [Fact]
    public void Table_NamesNothingThatTheCoordinatorExports()
        => Assert.All(WorkerMetricTable.All, row => Assert.StartsWith("llamacluster.shard.", row.Name, StringComparison.Ordinal));

    static WorkerOptions WithMetrics(WorkerOptions options) => options with { MetricsListen = "http://127.0.0.1:0" };

    static async Task<Dictionary<string, string>> ReadUntilAsync(HttpClient http, string series, string value)
    {
        while (true)
        {
            var read = await ReadAsync(http);
            if (read.GetValueOrDefault(series) == value) return read;
        }
    }

    static async Task<Dictionary<string, string>> ReadAsync(HttpClient http) => (await http.GetStringAsync(MetricsExport.Path))
        .Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => line[0] != '#')
        .ToDictionary(line => line[..line.LastIndexOf(' ')], line => line[(line.LastIndexOf(' ') + 1)..]);
}
