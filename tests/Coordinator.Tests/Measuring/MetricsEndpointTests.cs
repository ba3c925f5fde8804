using System.Net;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Cluster.Telemetry;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit.Abstractions;

namespace LlamaCluster.Coordinator.Tests.Measuring;

/// <summary>What Prometheus gets of a coordinator.</summary>
public sealed class MetricsEndpointTests(ITestOutputHelper output)
{
    static readonly MetricDefinition[] Rows = [.. CoordinatorMetricTable.All, .. PlatformMetrics.Table];

    [Fact]
    public async Task What_happened_is_what_is_exported()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress };
        await Exposition.OfAsync(http);   // histograms count from here
        for (var i = 0; i < 2; i++) await cluster.TokensAsync(TestCluster.Request([5, 6, 7], 10));
        var seen = await Exposition.OfAsync(http);

        const string replica = "replica=\"replica-0\"";
        Assert.Equal((20, 20), (seen.Sum("llamacluster_steps_total", replica), seen.Sum("llamacluster_step_duration_seconds_count")));
        Assert.Equal(
            (20, 20),
            (seen.Sum("llamacluster_tokens_generated_total"), seen.Sum("vllm:generation_tokens_total", "model_name=\"llamacluster-demo-5m-q8_0\"")));
        Assert.Equal((6, 6), (seen.Sum("llamacluster_tokens_prompt_total"), seen.Sum("vllm:prompt_tokens_total")));
        Assert.Equal((6, 2), (seen.Sum("vllm:prefix_cache_queries_total"), seen.Sum("vllm:prefix_cache_hits_total")));
        Assert.Equal((2, 0), (seen.Sum("llamacluster_sequences_total", "outcome=\"length\""), seen.Sum("llamacluster_sequences_total", "outcome=\"failed\"")));
        foreach (var times in new[] { "time_to_first_token", "queue_duration", "prefill_duration", "decode_duration", "duration", "time_per_output_token" })
            Assert.Equal(2, seen.Sum($"llamacluster_sequence_{times}_seconds_count"));
        Assert.Equal(18, seen.Sum("vllm:inter_token_latency_seconds_count"));
        Assert.Equal((6, 20), (seen.Sum("llamacluster_sequence_prompt_length_sum"), seen.Sum("vllm:request_generation_tokens_sum")));
        Assert.Equal(
            seen.Sum("vllm:e2e_request_latency_seconds_sum"),
            seen.Sum("vllm:request_queue_time_seconds_sum")
            + seen.Sum("vllm:request_prefill_time_seconds_sum") + seen.Sum("vllm:request_decode_time_seconds_sum"),
            1e-6);
        const string trips = "llamacluster_stage_round_trip_duration_seconds_count";
        Assert.Equal((20, 20), (seen.Sum(trips, "stage=\"0\""), seen.Sum(trips, "stage=\"1\"")));
        Assert.Equal((1, 1), (seen.Sum("llamacluster_ready", replica), seen.Sum("llamacluster_views_total")));
        Assert.Equal((2, 0), (seen.Sum("llamacluster_workers", "state=\"serving\""), seen.Sum("llamacluster_workers", "state=\"spare\"")));
        Assert.Equal(1, seen.Sum("llamacluster_stage_info", "stage=\"1\"", "worker=\"worker1\""));
        Assert.Equal(1, seen.Sum("vllm:cache_config_info", "block_size=\"16\"", "num_gpu_blocks=\"2048\""));
    }

    [Fact]
    public async Task A_client_s_answers_are_counted_by_how_they_ended()
    {
        await using var cluster = await TestCluster.StartAsync();
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress };
        using (var early = await CompleteAsync(http)) Assert.Equal(HttpStatusCode.ServiceUnavailable, early.StatusCode);
        for (var i = 0; i < 2; i++) await cluster.JoinAsync();
        await cluster.ReadyAsync();
        using (var answer = await CompleteAsync(http)) Assert.Equal(HttpStatusCode.OK, answer.StatusCode);

        var seen = await Exposition.OfAsync(http);
        Assert.Equal(1, seen.Sum("llamacluster_requests_refused_total", "code=\"model_not_ready\""));
        Assert.Equal(
            (1, 0),
            (seen.Sum("vllm:request_success_total", "finished_reason=\"length\""), seen.Sum("vllm:request_success_total", "finished_reason=\"stop\"")));
    }

    [Fact]
    public async Task Every_series_stands_in_a_table_with_its_labels_and_none_comes_twice()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        await using var other = await TestCluster.StartReadyAsync(1);   // in the same process, with the same names
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress };
        await Exposition.OfAsync(http);
        await cluster.TokensAsync(TestCluster.Request([5, 6, 7], 10));
        await other.TokensAsync(TestCluster.Request([5, 6, 7], 10));
        (await CompleteAsync(http)).Dispose();
        var seen = await Exposition.OfAsync(http);

        Assert.Empty(seen.Samples.GroupBy(sample => sample.Series).Where(same => same.Count() > 1).Select(same => same.Key));
        var known = Rows.Where(row => !row.IsVllmOnly).Select(row => (Name: row.PrometheusName, Row: row))
            .Concat(Rows.Where(row => row.Vllm is not null).Select(row => (Name: row.PrometheusVllmName!, Row: row)))
            .ToDictionary(pair => pair.Name, pair => pair.Row);
        foreach (var (name, type) in seen.Types.Where(type => type.Key != "target_info"))
        {
            Assert.True(known.TryGetValue(name, out var row), $"{name} stands in no table");
            Assert.Equal(row.Kind.ToString().ToLowerInvariant(), type);
        }
        foreach (var (series, _) in seen.Samples.Where(sample => !sample.Series.StartsWith("target_info", StringComparison.Ordinal)))
        {
            var name = Exposition.NameOf(series);
            var row = known.FirstOrDefault(pair =>
                name == pair.Key
                || (pair.Value.Kind == MetricKind.Histogram && name.StartsWith($"{pair.Key}_", StringComparison.Ordinal))).Value;
            Assert.True(row is not null, $"{series} stands in no table");
            Assert.Equal(row.Labels.Select(label => label.Replace('.', '_')).Order(), Exposition.LabelsOf(series).Order());
        }
        Assert.Equal(10, seen.Sum("llamacluster_tokens_generated_total") - 1);   // this coordinator's alone; one of the completion
        Assert.Equal(2, seen.Sum("llamacluster_workers", "state=\"serving\""));
    }

    [Fact]
    public void No_two_rows_are_one_metric_in_Prometheus()
    {
        var names = Rows.Where(row => !row.IsVllmOnly).Select(row => row.PrometheusName)
            .Concat(Rows.Select(row => row.PrometheusVllmName).OfType<string>()).ToList();
        Assert.Equal(names.Count, names.Distinct().Count());
        Assert.All(Rows, row => Assert.Equal(row.Kind == MetricKind.Histogram, row.Boundaries.Count > 0));
        Assert.All(Rows, row => Assert.Equal(row.Boundaries.Distinct().Order(), row.Boundaries));
    }

    [Theory]
    [InlineData("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")]
    [InlineData("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8")]
    [InlineData("text/plain;version=1.0.0;escaping=allow-utf-8")]
    [InlineData("text/html")]
    public async Task Series_are_the_same_whatever_form_a_client_accepts(string accept)
    {
        await using var cluster = await TestCluster.StartReadyAsync(1);
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress };
        for (var i = 0; i < 2; i++) await Exposition.OfAsync(http);   // the second one sees the first as a request
        await cluster.TokensAsync(TestCluster.Request([5, 6, 7], 4));
        var (plain, asked) = (await Exposition.OfAsync(http), await Exposition.OfAsync(http, accept));
        Assert.Equal(Ours(plain), Ours(asked));

        // Not those of .NET: another test's exceptions may come between.
        static IEnumerable<string> Ours(Exposition seen) =>
            seen.Samples.Select(sample => sample.Series).Where(series => !series.StartsWith("dotnet_", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_address_for_metrics_has_nothing_else()
    {
        await using var cluster = await TestCluster.StartAsync(TestCluster.Options with { MetricsListen = "http://127.0.0.1:0" });
        using var http = new HttpClient { BaseAddress = cluster.Host.MetricsAddress };
        Assert.NotEmpty((await Exposition.OfAsync(http)).Samples);
        foreach (var path in new[] { "/health", "/v1/models", "/" })
        {
            using var answer = await http.GetAsync(path);
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        }
    }

    [Fact]
    public async Task Series_of_200_workers_are_scraped_in_50_ms()
    {
        const int workers = 200;
        await using var cluster = await TestCluster.StartReadyAsync(1);
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress };
        await Exposition.OfAsync(http);
        var (metrics, registry) = (cluster.Host.Services.GetRequiredService<CoordinatorMetrics>(), cluster.Host.Services.GetRequiredService<WorkerRegistry>());
        var timings = new StepTimings
        {
            Rows = 8,
            ComputeMicroseconds = 900,
            WaitMicroseconds = 300,
            SyncMicroseconds = 200,
            ActivationBytes = 4096,
            SyncBytes = 4096,
        };
        for (var i = 0; i < workers; i++)
        {
            var address = new Uri($"http://10.0.0.{i}:9091");
            registry.Register(id => new Member(id, $"machine-{id.Value}", address)
            {
                Key = PeerKey.Create(),
                Capabilities = WorkerCapabilities.Unknown with { Machine = new MachineFacts(1L << 36, 16, 5e10, 1e11) },
            });
            metrics.Stages.Ran("replica-0", i / 2, i % 2, timings, TimeSpan.FromMilliseconds(3));
        }

        var times = new List<double>();
        var bytes = Array.Empty<byte>();
        // What a scrape takes is asked, not what else the machine does: on a busy one a free moment is waited for.
        var started = TimeProvider.System.GetTimestamp();
        while (times.Count < 20 || times.Min() > 50 && TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(30))
        {
            var begun = TimeProvider.System.GetTimestamp();
            bytes = await http.GetByteArrayAsync("/metrics");
            times.Add(TimeProvider.System.GetElapsedTime(begun).TotalMilliseconds);
        }
        var lines = bytes.Count(letter => letter == '\n');
        output.WriteLine(
            $"{lines} lines, {bytes.Length / 1024} KiB; scraped in {times.Min():0.0} ms at best, {times.Order().ElementAt(times.Count / 2):0.0} ms as a rule");
        Assert.True(lines > workers * 60, $"{lines} lines");
        Assert.True(times.Min() <= 50, $"the fastest of {times.Count} scrapes took {times.Min():0} ms");
    }

    static Task<HttpResponseMessage> CompleteAsync(HttpClient http)
        => http.PostAsync("/v1/completions", new StringContent("""{"prompt":[5,6,7],"max_tokens":1}""", null, "application/json"));
}
