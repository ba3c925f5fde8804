using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using LlamaCluster.Integration.Tests.Up;

namespace LlamaCluster.Integration.Tests.Network;

/// <summary>A coordinator here and workers on machines of their own, as far as the network can tell.</summary>
public sealed partial class NamespaceTests
{
    [NamespaceFact]
    public async Task Ranks_on_several_machines_link_by_a_lane_and_answer()
    {
        using var network = new NamespaceNetwork(2);
        Assert.NotEmpty(await TextOfAsync(network));
    }

    /// <summary>1 ms there and back, 1 Gbit/s.</summary>
    [NamespaceFact(slowLinks: true)]
    public async Task Slow_links_are_measured_as_such_and_change_no_token()
    {
        string expected;
        using (var fast = new NamespaceNetwork(2)) expected = await TextOfAsync(fast);
        using var slow = new NamespaceNetwork(2, "delay", "250us", "rate", "1gbit");
        Assert.Equal(expected, await TextOfAsync(slow, leastMicroseconds: 500));
    }

    static async Task<string> TextOfAsync(NamespaceNetwork network, int leastMicroseconds = 0)
    {
        await using var coordinator = CliProcess.Start(
            "coordinator", "--listen", "http://127.0.0.1:0", "--grpc-listen", $"http://{network.Address}:0", "--workers", "2", "--tensor-parallel", "2");
        var addresses = (await coordinator.ErrorLineAsync("listening api=")).Split(' ');
        var grpc = addresses[2]["grpc=".Length..];
        await using var first = StartWorker(network, 0, grpc);
        await using var second = StartWorker(network, 1, grpc);
        using var http = new HttpClient { BaseAddress = new Uri(addresses[1]["api=".Length..]), Timeout = CliProcess.Deadline };
        await ReadyAnswer.WaitAsync(http, HttpStatusCode.OK);

        var caller = first.Log.Contains("partial sums to") ? first : second;
        var linked = LinkLine().Match(caller.Log);
        Assert.True(linked.Success, caller.Log);
        Assert.Contains(linked.Groups["peer"].Value, (string[])[network.AddressOf(0), network.AddressOf(1)]);
        Assert.True(int.Parse(linked.Groups["lane"].Value) >= leastMicroseconds, linked.Value);

        using var content = new StringContent("""{"prompt":"What is a KV cache?","temperature":0,"max_tokens":24}""", Encoding.UTF8, "application/json");
        using var answer = await http.PostAsync("/v1/completions", content);
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.OK, body);
        return TextField().Match(body).Value;
    }

    static CliProcess StartWorker(NamespaceNetwork network, int machine, string coordinator) => CliProcess.StartUnder(
        network.On(machine), "worker", "--coordinator", coordinator, "--listen", "http://0.0.0.0:0", "--name", $"machine{machine}", "--threads", "1");

    [GeneratedRegex(@"partial sums to rank 0 \(http://(?<peer>[0-9.]+):\d+\) go by \w+; 32 KiB take one way (?<lane>\d+) us by tcp")]
    private static partial Regex LinkLine();

    [GeneratedRegex("\"text\":\"[^\"]*\"")]
    private static partial Regex TextField();
}
