using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using LlamaCluster.Integration.Tests.Up;
using LlamaCluster.Testing;

namespace LlamaCluster.Integration.Tests.Observing;

/// <summary>Debian's Prometheus with the rules of deploy/prometheus, which scrapes a cluster twice a second. It goes away with the test.</summary>
sealed class PrometheusServer : IAsyncDisposable
{
    static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    readonly TempFolder _folder = new();
    readonly Process _process;
    readonly HttpClient _http;

    PrometheusServer(string coordinator, IEnumerable<string> workers)
    {
        var port = FreePort();
        File.WriteAllText(_folder.File("prometheus.yml"), $"""
            global: {"{"} scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms {"}"}
            rule_files: ["{Path.Combine(SharedFiles.Repository, "deploy/prometheus/rules")}/*.yml"]
            scrape_configs:
              - job_name: llamacluster-coordinator
                static_configs: [{"{"} targets: ["{coordinator}"], labels: {"{"} cluster: main {"}"} {"}"}]
              - job_name: llamacluster-worker
                static_configs: [{"{"} targets: [{string.Join(", ", workers.Select(worker => $"\"{worker}\""))}], labels: {"{"} cluster: main {"}"} {"}"}]
            """);
        var start = new ProcessStartInfo("prometheus",
        [
            $"--config.file={_folder.File("prometheus.yml")}", $"--storage.tsdb.path={_folder.File("data")}",
            $"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
        ])
        { RedirectStandardError = true };
        _process = Process.Start(start)!;
        _process.ErrorDataReceived += (_, line) => Log += line.Data is null ? "" : $"{line.Data}\n";
        _process.BeginErrorReadLine();
        _http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = CliProcess.Deadline };
    }

    /// <summary>What it complained about.</summary>
    public string Log { get; private set; } = "";

    public static async Task<PrometheusServer> StartAsync(string coordinator, IEnumerable<string> workers)
    {
        var server = new PrometheusServer(coordinator, workers);
        try
        {
            await WaitAsync(async () => await server.IsUpAsync() ? "" : "it is not ready", () => server.Log);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>What an expression gives now: labels and value of each series.</summary>
    public async Task<IReadOnlyList<(string Labels, double Value)>> QueryAsync(string expression)
    {
        using var form = new FormUrlEncodedContent([new("query", expression)]);
        using var answer = await _http.PostAsync("/api/v1/query", form);
        var json = JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement;
        Assert.True(json.GetProperty("status").GetString() == "success", $"{expression}: {json}");
        return
        [
            .. json.GetProperty("data").GetProperty("result").EnumerateArray()
                .Select(series => (
                    series.GetProperty("metric").ToString(),
                    double.Parse(series.GetProperty("value")[1].GetString()!.Replace("Inf", "Infinity")))),
        ];
    }

    /// <summary>Values of a label, as a dashboard's variable asks for them.</summary>
    public async Task<IReadOnlyList<string>> LabelValuesAsync(string selector, string label)
    {
        var json = JsonDocument.Parse(await _http.GetStringAsync($"/api/v1/label/{label}/values?match[]={Uri.EscapeDataString(selector)}")).RootElement;
        return [.. json.GetProperty("data").EnumerateArray().Select(value => value.GetString()!)];
    }

    /// <summary>Asks until there is no problem any more.</summary>
    /// <param name="problem">"": none.</param>
    public static async Task WaitAsync(Func<Task<string>> problem, Func<string> log)
    {
        using var deadline = new CancellationTokenSource(CliProcess.Deadline);
        using var timer = new PeriodicTimer(Interval);
        var last = "";
        try
        {
            while ((last = await problem()).Length > 0) await timer.WaitForNextTickAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"after {CliProcess.Deadline}: {last}\n{log()}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited) _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        _http.Dispose();
        _folder.Dispose();
    }

    async Task<bool> IsUpAsync()
    {
        try
        {
            using var answer = await _http.GetAsync("/-/ready");
            return answer.StatusCode == HttpStatusCode.OK;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    /// <summary>Prometheus takes no port 0, so a port is taken, and given up again for it.</summary>
    static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}
