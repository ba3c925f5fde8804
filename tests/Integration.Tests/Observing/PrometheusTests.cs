using System.Net;
using System.Text;
using System.Text.Json;
using LlamaCluster.Integration.Tests.Up;
using Xunit.Abstractions;

namespace LlamaCluster.Integration.Tests.Observing;

/// <summary>
/// Prometheus itself scrapes a coordinator and three workers that serve, of which one has taken another's place, and is asked everything that deploy/ asks.
/// </summary>
public sealed class PrometheusTests(ITestOutputHelper output)
{
    /// <summary>Of every process.</summary>
    const int Scrapes = 60;

    /// <summary>Only workers on several hosts measure links.</summary>
    const string OfSeveralHosts = "llamacluster_link_";

    [PrometheusFact]
    public async Task Every_expression_finds_data_and_the_linter_finds_nothing_new()
    {
        await using var coordinator = CliProcess.Start(
            "coordinator", "--listen", "http://127.0.0.1:0", "--grpc-listen", "http://127.0.0.1:0", "--metrics-listen", "http://127.0.0.1:0",
            "--workers", "3", "--tensor-parallel", "2", "--max-running", "4", "--max-waiting", "8");
        var addresses = (await coordinator.ErrorLineAsync("listening api=")).Split(' ')
            .Where(part => part.Contains('=')).ToDictionary(part => part.Split('=')[0], part => part.Split('=')[1]);
        using var http = new HttpClient { BaseAddress = new Uri(addresses["api"]), Timeout = CliProcess.Deadline };
        var workers = new List<CliProcess>();
        using var enough = new CancellationTokenSource();
        var load = Task.CompletedTask;
        try
        {
            var metrics = new List<string>();
            for (var number = 1; number <= 3; number++) metrics.Add(await AddWorkerAsync(number));
            await ReadyAnswer.WaitAsync(http, HttpStatusCode.OK);
            metrics.Add(await AddWorkerAsync(4));
            await PrometheusServer.WaitAsync(async () => await SpareAsync(http) == 1 ? "" : "no worker is spare", () => "");
            load = Task.WhenAll(Enumerable.Range(0, 6).Select(number => LoadAsync(http, number, enough.Token)));
            await using (workers[0]) (workers, metrics) = (workers[1..], metrics[1..]);   // the first is killed, and the spare takes its place
            await PrometheusServer.WaitAsync(
                async () => (await http.GetStringAsync("/metrics")).Contains("llamacluster_recovery_duration_seconds_count") ? "" : "nothing has recovered",
                () => "");
            await using var prometheus = await PrometheusServer.StartAsync(new Uri(addresses["metrics"]).Authority, metrics);
            await PrometheusServer.WaitAsync(async () => await ScrapedAsync(prometheus, Scrapes), () => prometheus.Log);
            await CheckExpressionsAsync(prometheus);
            await enough.CancelAsync();
            await load;
            Assert.DoesNotContain("Error on ingesting", prometheus.Log);
            foreach (var address in metrics.Prepend(new Uri(addresses["metrics"]).Authority)) await LintAsync($"http://{address}/metrics");
        }
        finally
        {
            await enough.CancelAsync();
            foreach (var worker in workers) await worker.DisposeAsync();
        }

        async Task<string> AddWorkerAsync(int number)
        {
            var worker = CliProcess.Start(
                "worker", "--coordinator", addresses["grpc"], "--name", $"worker-{number}", "--threads", "1", "--memory", "1GB",
                "--metrics-listen", "http://127.0.0.1:0");
            workers.Add(worker);
            return new Uri((await worker.ErrorLineAsync("Metrics are at")).Split(' ')[^1]).Authority;
        }
    }

    [PrometheusFact]
    public async Task Rules_are_right()
    {
        var config = await Promtool.RunAsync("", "check", "config", Path.Combine(Expressions.Deploy, "prometheus/prometheus.yml"));
        Assert.True(config.ExitCode == 0, config.Output);
        var rules = await Promtool.RunAsync("", "test", "rules", Path.Combine(Expressions.Deploy, "prometheus/tests/rules.test.yml"));
        Assert.True(rules.ExitCode == 0, rules.Output);
        // Every rule has a unit test.
        var tests = await File.ReadAllTextAsync(Path.Combine(Expressions.Deploy, "prometheus/tests/rules.test.yml"));
        Assert.All(Expressions.OfRules(), rule => Assert.Contains(rule.Place.Split(' ')[^1], tests));
    }

    async Task CheckExpressionsAsync(PrometheusServer prometheus)
    {
        var asked = 0;
        var silent = new List<string>();
        foreach (var (place, expression) in Expressions.OfDashboards().Concat(Expressions.OfRules()))
        {
            asked++;
            var found = await prometheus.QueryAsync(expression);
            if (found.Count == 0 && !expression.Contains(OfSeveralHosts, StringComparison.Ordinal)) silent.Add($"{place}: {expression}");
        }
        foreach (var (place, selector, label) in Expressions.OfVariables())
        {
            asked++;
            if ((await prometheus.LabelValuesAsync(selector, label)).Count == 0 && label != "cluster") silent.Add($"{place}: {label} of {selector}");
        }
        Assert.True(silent.Count == 0, $"{silent.Count} of {asked} expressions find nothing:\n{string.Join('\n', silent)}");
        output.WriteLine($"{asked} expressions found data");
        // That the numbers are of this cluster, and not only there.
        Assert.All(await prometheus.QueryAsync("up"), target => Assert.Equal(1, target.Value));
        var (coordinator, own) =
            (await prometheus.QueryAsync("sum(llamacluster_steps_total)"), await prometheus.QueryAsync("max(llamacluster_shard_steps_total)"));
        Assert.InRange(own[0].Value / coordinator[0].Value, 0.9, 1.1);
        Assert.True((await prometheus.QueryAsync("sum(replica:llamacluster_tokens_generated:rate1m)"))[0].Value > 1);
        Assert.Empty(await prometheus.QueryAsync("ALERTS{alertstate=\"firing\",severity=\"critical\"}"));
    }

    /// <returns>"" when every process was scraped so often.</returns>
    static async Task<string> ScrapedAsync(PrometheusServer prometheus, int times)
    {
        var counts = await prometheus.QueryAsync("count_over_time(up[5m])");
        return counts.Count == 4 && counts.All(target => target.Value >= times)
            ? ""
            : $"scraped {string.Join(", ", counts.Select(target => target.Value))} times";
    }

    static async Task<int> SpareAsync(HttpClient http)
        => JsonDocument.Parse(await http.GetStringAsync("/ready")).RootElement.GetProperty("workers").GetProperty("spare").GetInt32();

    async Task LintAsync(string address)
    {
        using var http = new HttpClient();
        var lint = await Promtool.RunAsync(await http.GetStringAsync(address), "check", "metrics");
        var accepted = (await File.ReadAllLinesAsync(Path.Combine(Expressions.Deploy, "prometheus/accepted-findings.txt")))
            .Where(line => line.Length > 0 && line[0] != '#').ToList();
        var findings = lint.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        output.WriteLine($"{address}: {findings.Length} findings, all of the accepted kinds");
        Assert.DoesNotContain(findings, finding => !accepted.Exists(known => finding.Contains(known, StringComparison.Ordinal)));
    }

    /// <summary>Some answers one after the other, with prompts that begin alike; now and then more at a time than are let in.</summary>
    static async Task LoadAsync(HttpClient http, int number, CancellationToken enough)
    {
        for (var round = 0; !enough.IsCancellationRequested; round++)
        {
            var choices = round % 8 == 7 ? 16 : 1;
            var prompt = $"The cluster has many workers. Again and again, again and again: worker {number} of round {round % 3} says";
            using var content = new StringContent(
                $$"""{"prompt":"{{prompt}}","max_tokens":24,"n":{{choices}},"temperature":{{(choices > 1 ? 1 : 0)}},"ignore_eos":true}""",
                Encoding.UTF8, "application/json");
            using var answer = await http.PostAsync("/v1/completions", content, CancellationToken.None);
            Assert.True(answer.StatusCode is HttpStatusCode.OK or HttpStatusCode.TooManyRequests, $"{answer.StatusCode}");
        }
    }
}
