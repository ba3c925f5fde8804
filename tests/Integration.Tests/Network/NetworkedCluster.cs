using System.Globalization;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using LlamaCluster.Integration.Tests.Up;

namespace LlamaCluster.Integration.Tests.Network;

/// <summary>A coordinator here and workers on machines of their own, as far as they can tell; ready to serve.</summary>
sealed partial class NetworkedCluster : IAsyncDisposable
{
    /// <summary>Where workers listen; each machine has all ports.</summary>
    public const int WorkerPort = 9091;

    readonly NamespaceNetwork _network;
    readonly List<CliProcess> _workers = [];
    string _grpc = "";

    NetworkedCluster(NamespaceNetwork network, CliProcess coordinator) => (_network, Coordinator) = (network, coordinator);

    /// <summary>Round trip and rate from machine to machine, as the planner was told.</summary>
    public (double Microseconds, double MegabytesPerSecond) Link { get; private set; }

    /// <summary>What the planner chose, in its words.</summary>
    public string Plan { get; private set; } = "";

    /// <summary>The rank that another one called, and what it takes 32 KiB to get there by a lane.</summary>
    public (string Peer, double Microseconds) Lane =>
        _workers.Select(worker => LaneLine().Match(worker.Log)).FirstOrDefault(line => line.Success) is { } line
            ? (line.Groups["peer"].Value, Number(line.Groups["way"]))
            : throw new InvalidOperationException($"no worker says that it has a lane:\n{Log}");

    /// <summary>All that its processes have said, for messages of failed tests.</summary>
    public string Log => string.Join('\n', _workers.Select(worker => worker.Log).Prepend(Coordinator.Log));

    /// <param name="options">Of the coordinator.</param>
    public static async Task<NetworkedCluster> StartAsync(NamespaceNetwork network, int workers, params string[] options)
    {
        var cluster = await OpenAsync(network, workers, options);
        try
        {
            for (var machine = 0; machine < workers; machine++) cluster.AddWorker(machine);
            await cluster.LearnAsync(workers);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>A coordinator that has no workers yet.</summary>
    /// <param name="wanted">Workers that it waits for.</param>
    public static async Task<NetworkedCluster> OpenAsync(NamespaceNetwork network, int wanted, params string[] options)
    {
        var cluster = new NetworkedCluster(network, CliProcess.Start(
            [
                "coordinator", "--listen", "http://127.0.0.1:0", "--grpc-listen", $"http://{network.Address}:0",
                "--insecure", "--workers", $"{wanted}", .. options,
            ]));
        try
        {
            var addresses = (await cluster.Coordinator.ErrorLineAsync("listening api=")).Split(' ');
            (cluster.Http.BaseAddress, cluster._grpc) = (new Uri(addresses[1]["api=".Length..]), addresses[2]["grpc=".Length..]);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    public CliProcess Coordinator { get; }

    public HttpClient Http { get; } = new() { Timeout = CliProcess.Deadline };

    /// <param name="without">A folder that is empty there; null: all files are as here.</param>
    /// <param name="options">More of the worker's; a later one of the same name counts.</param>
    public CliProcess AddWorker(int machine, string? without = null, params string[] options)
    {
        var worker = CliProcess.StartUnder(
            _network.On(machine, without),
            [
                "worker", "--coordinator", _grpc, "--listen", $"http://0.0.0.0:{WorkerPort}", "--insecure", "--name", $"machine{machine}", "--threads", "1",
                "--exit-when-input-closes", .. options,
            ]);
        _workers.Add(worker);
        return worker;
    }

    public Task ReadyAsync() => ReadyAnswer.WaitAsync(Http, HttpStatusCode.OK);

    /// <returns>The text as it stands in the JSON. It is sampled: where weights are random, greedy tokens are easily all alike.</returns>
    public async Task<string> TextAsync()
    {
        using var content = new StringContent(
            """{"prompt":"What is a KV cache?","max_tokens":24,"ignore_eos":true,"temperature":1,"seed":7}""", Encoding.UTF8, "application/json");
        using var answer = await Http.PostAsync("/v1/completions", content);
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.OK, body);
        var text = TextField().Match(body).Groups["text"].Value;
        Assert.NotEmpty(text);
        return text;
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        foreach (var worker in _workers) await worker.DisposeAsync();
        await Coordinator.DisposeAsync();
    }

    /// <summary>Waits until all workers serve, and reads what the coordinator says of links and plan.</summary>
    async Task LearnAsync(int workers)
    {
        if (workers > 1)
        {
            var link = LinkLine().Match(await Coordinator.ErrorLineAsync(": round trip"));
            Link = (Number(link.Groups["trip"]), Number(link.Groups["rate"]));
        }
        Plan = ChoiceLine().Match(await Coordinator.ErrorLineAsync("predicted")).Groups["plan"].Value;
        await ReadyAsync();
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
