using System.Globalization;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using LlamaCluster.Integration.Tests.Up;

namespace LlamaCluster.Integration.Tests.Network;

/// <summary>A coordinator here and workers on machines of their own, as far as they can tell; ready to serve.</summary>
sealed partial class NetworkedCluster : IAsyncDisposable
{
    readonly CliProcess _coordinator;
    readonly List<CliProcess> _workers = [];
    readonly HttpClient _http = new() { Timeout = CliProcess.Deadline };

    NetworkedCluster(CliProcess coordinator) => _coordinator = coordinator;

    /// <summary>Round trip and rate from machine to machine, as the planner was told.</summary>
    public (double Microseconds, double MegabytesPerSecond) Link { get; private set; }

    /// <summary>What the planner chose, in its words.</summary>
    public string Plan { get; private set; } = "";

    /// <summary>The rank that another one called, and what it takes 32 KiB to get there by a lane.</summary>
    public (string Peer, double Microseconds) Lane =>
        _workers.Select(worker => LaneLine().Match(worker.Log)).FirstOrDefault(line => line.Success) is { } line
            ? (line.Groups["peer"].Value, Number(line.Groups["way"]))
            : throw new InvalidOperationException($"no worker says that it has a lane:\n{string.Join('\n', _workers.Select(worker => worker.Log))}");

    /// <param name="options">Of the coordinator.</param>
    public static async Task<NetworkedCluster> StartAsync(NamespaceNetwork network, int workers, params string[] options)
    {
        var cluster = new NetworkedCluster(CliProcess.Start(
            [
                "coordinator", "--listen", "http://127.0.0.1:0", "--grpc-listen", $"http://{network.Address}:0", "--insecure", "--workers", $"{workers}", .. options,
            ]));
        try
        {
            await cluster.StartAsync(network, workers);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <returns>The text as it stands in the JSON. It is sampled: where weights are random, greedy tokens are easily all alike.</returns>
    public async Task<string> TextAsync()
    {
        using var content = new StringContent("""{"prompt":"What is a KV cache?","max_tokens":24,"ignore_eos":true,"temperature":1,"seed":7}""", Encoding.UTF8, "application/json");
        using var answer = await _http.PostAsync("/v1/completions", content);
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.OK, body);
        var text = TextField().Match(body).Groups["text"].Value;
        Assert.NotEmpty(text);
        return text;
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        foreach (var worker in _workers) await worker.DisposeAsync();
        await _coordinator.DisposeAsync();
    }

    async Task StartAsync(NamespaceNetwork network, int workers)
    {
        var addresses = (await _coordinator.ErrorLineAsync("listening api=")).Split(' ');
        _http.BaseAddress = new Uri(addresses[1]["api=".Length..]);
        for (var machine = 0; machine < workers; machine++)
            _workers.Add(CliProcess.StartUnder(
                network.On(machine), "worker", "--coordinator", addresses[2]["grpc=".Length..], "--listen", "http://0.0.0.0:0", "--insecure",
                "--name", $"machine{machine}", "--threads", "1", "--exit-when-input-closes"));
        if (workers > 1)
        {
            var link = LinkLine().Match(await _coordinator.ErrorLineAsync(": round trip"));
            Link = (Number(link.Groups["trip"]), Number(link.Groups["rate"]));
        }
        Plan = ChoiceLine().Match(await _coordinator.ErrorLineAsync("predicted")).Groups["plan"].Value;
        await ReadyAnswer.WaitAsync(_http, HttpStatusCode.OK);
    }

    static double Number(Group text) => double.Parse(text.Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"From worker machine\d .*round trip (?<trip>\d+) us, (?<rate>\d+) MB/s")]
    private static partial Regex LinkLine();

    [GeneratedRegex("ClusterSupervisor: (?<plan>[^:]*): ")]
    private static partial Regex ChoiceLine();

    [GeneratedRegex(@"partial sums to rank 0 \(http://(?<peer>[0-9.]+):\d+\) go by \w+; 32 KiB take one way (?<way>\d+) us by tcp")]
    private static partial Regex LaneLine();

    [GeneratedRegex("\"text\":\"(?<text>[^\"]*)\"")]
    private static partial Regex TextField();
}
