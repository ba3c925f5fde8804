using System.Globalization;
using System.Net;
using LlamaCluster.Integration.Tests.Network.Tun;
using LlamaCluster.Integration.Tests.Observing;
using LlamaCluster.Integration.Tests.Up;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Integration.Tests.Network;

/// <summary>
/// Workers on machines of their own, which have no file of the model and give each other weights. The first has them all from the coordinator, and is killed
/// while it gives some to the others, in the middle of a part. These go on without it.
/// </summary>
[Collection(nameof(NetworkAlone))]
public sealed class PeerWeightsKillTests : IDisposable
{
    const string Body = """{"prompt":"Who has it?","max_tokens":40,"temperature":0.7,"seed":5,"logprobs":2,"ignore_eos":true,"stream":true}""";

    const int MetricsPort = 9101;
    const int TrailerBytes = 512;   // of an entry of the cache

    /// <summary>Streams that a worker has from the coordinator at a time.</summary>
    const int Streams = 2;

    /// <summary>What is on its way to a worker that gives up a stream, beside a part.</summary>
    const long Buffers = 1 << 20;

    const string FetchingFromPeers = ": Fetching, weights from peers";

    const string Sent = "llamacluster_weights_sent_bytes_total";
    const string FromCoordinator = "llamacluster_shard_weights_obtained_bytes_total{source=\"coordinator\"}";
    const string FromPeers = "llamacluster_shard_weights_obtained_bytes_total{source=\"peer\"}";

    /// <summary>Slow enough for the test to be there before a worker has all that it wants.</summary>
    static readonly LinkShape Usual = new(TimeSpan.FromMilliseconds(0.2), 5e7);

    /// <summary>22 MB in 9 layers.</summary>
    static readonly SyntheticModel Model = SyntheticModel.Small with
    {
        Config = SyntheticModel.Small.Config with
        {
            LayerCount = 9,
            HiddenSize = 512,
            FfnSize = 1024,
            HeadCount = 8,
            KvHeadCount = 4,
            HeadSize = 64,
            RopeDimensionCount = 64,
        },
        Type = TensorType.Q8_0,
    };

    readonly TempFolder _files = new(), _caches = new();

    public void Dispose()
    {
        _files.Dispose();
        _caches.Dispose();
    }

    /// <summary>
    /// On a machine that is very busy the others may have all before they are cut off, or turn to the coordinator before: then it is tried again.
    /// </summary>
    [NamespaceFact(faults: true)]
    public async Task What_a_killed_worker_had_not_given_leaves_the_coordinator_once_more_and_no_more()
    {
        for (var attempt = 1; !await TryAsync(); attempt++) Assert.True(attempt < 3, "no part came from a worker before it was killed");
    }

    /// <returns>False if no part came from the worker before it was killed.</returns>
    async Task<bool> TryAsync()
    {
        foreach (var cache in Directory.EnumerateDirectories(_caches.Path)) Directory.Delete(cache, recursive: true);
        var path = Model.WriteGguf(_files.File("model.gguf"));
        var largest = Model.Weights().Tensors.Max(tensor => tensor.Bytes);
        var faults = new LinkFaults(Usual, seed: 0);
        using var network = new NamespaceNetwork(3, faults);
        using var http = new HttpClient { Timeout = CliProcess.Deadline };
        await using var cluster = await NetworkedCluster.OpenAsync(
            network, 3, "--model", path, "--weights-from", "peer", "--tensor-parallel", "1", "--wait-for-workers", "1s");
        var giver = Add(cluster, 0);
        await cluster.Coordinator.ErrorLineAsync(FetchingFromPeers);
        await cluster.ReadyAsync();
        var expected = await (await EventStream.OpenAsync(cluster.Http, Body)).RestAsync();
        var all = await ReadAsync(cluster.Http, "", Sent);
        Assert.Equal((all, 0), (EntriesOf(0).Sum(entry => entry.Bytes), await ReadAsync(http, MetricsOf(0), FromPeers)));

        // The one of the others that loads first gets some parts, and comes to the middle of others. Links have been measured by then.
        LinkCut[] cuts = [.. new[] { 1, 2 }.Select(other => new LinkCut(
            IPAddress.Parse(network.AddressOf(0)), IPAddress.Parse(network.AddressOf(other)), NetworkedCluster.WorkerPort, after: 3 * largest))];
        Add(cluster, 1);
        Add(cluster, 2);
        await cluster.Coordinator.ErrorLineAsync(FetchingFromPeers);
        foreach (var cut in cuts) faults.Begin(cut);
        bool IsCut() => cuts.Any(cut => cut.Begun.IsCompleted);
        await PrometheusServer.WaitAsync(async () => IsCut() || await AllServeAsync(cluster.Http) ? "" : "no worker is cut off", () => cluster.Log);
        if (!IsCut()) return false;
        await PrometheusServer.WaitAsync(() => Task.FromResult(EntriesOf(1, 2).Any() ? "" : "no part has come"), () => cluster.Coordinator.Log);
        var given = 0L;
        foreach (var machine in new[] { 1, 2 })
            if (EntriesOf(machine).Any()) given += await ReadAsync(http, MetricsOf(machine), FromPeers);
        await Signals.SendAsync("KILL", giver.Id);
        if (given == 0) return false;
        await cluster.Coordinator.ErrorLineAsync("is lost");
        foreach (var cut in cuts) faults.Heal(cut);
        await ReadyAnswer.WaitAsync(cluster.Http, HttpStatusCode.OK, "\"serving\":2");

        Assert.Equal(expected, await (await EventStream.OpenAsync(cluster.Http, Body)).RestAsync());
        var sent = await ReadAsync(cluster.Http, "", Sent) - all;
        var (fetched, fromPeers) = (await SumAsync(FromCoordinator), await SumAsync(FromPeers));
        var left = EntriesOf(1, 2).Distinct().Sum(entry => entry.Bytes);
        Assert.True(fromPeers >= given, $"{fromPeers} bytes came from peers, of which {given} before the kill:\n{cluster.Log}");
        Assert.InRange(fetched, 1, left - given);   // each part that died with it, once
        Assert.InRange(sent, fetched, fetched + 2 * Streams * (largest + Buffers));   // and what was under way when plans changed
        Assert.True(left >= all, $"{left} of {all} bytes are in the caches of those that are left");
        return true;

        CliProcess Add(NetworkedCluster to, int machine) => to.AddWorker(
            machine, _files.Path, "--memory", "1GB", "--cache", _caches.File($"{machine}"), "--metrics-listen", $"http://0.0.0.0:{MetricsPort}");

        async Task<long> SumAsync(string series) => (await Task.WhenAll(new[] { 1, 2 }.Select(machine => ReadAsync(http, MetricsOf(machine), series)))).Sum();

        string MetricsOf(int machine) => $"http://{network.AddressOf(machine)}:{MetricsPort}";
    }

    static async Task<bool> AllServeAsync(HttpClient http)
    {
        using var answer = await http.GetAsync("/ready");
        return answer.IsSuccessStatusCode && (await answer.Content.ReadAsStringAsync()).Contains("\"serving\":3");
    }

    /// <summary>The whole parts that workers have, by their names in the cache, which say what they hash to.</summary>
    IEnumerable<(string Name, long Bytes)> EntriesOf(params int[] machines) =>
        from machine in machines
        let cache = new DirectoryInfo(_caches.File($"{machine}"))
        from file in cache.Exists ? cache.EnumerateFiles("*", SearchOption.AllDirectories) : []
        where !file.Name.EndsWith(".part", StringComparison.Ordinal)
        select (file.Name, file.Length - TrailerBytes);

    static async Task<long> ReadAsync(HttpClient http, string address, string series)
    {
        var lines = (await http.GetStringAsync($"{address}/metrics")).Split('\n');
        return lines.Where(line => line.StartsWith(series, StringComparison.Ordinal)).Sum(line => long.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture));
    }
}
