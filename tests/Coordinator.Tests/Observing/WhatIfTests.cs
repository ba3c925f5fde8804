using System.Net;
using System.Text;
using System.Text.Json;
using LlamaCluster.Coordinator.Observing;
using LlamaCluster.Coordinator.Tests.Fakes;

namespace LlamaCluster.Coordinator.Tests.Observing;

/// <summary>POST /v1/cluster/plan.</summary>
public sealed class WhatIfTests : IAsyncLifetime
{
    TestCluster _cluster = null!;
    HttpClient _http = null!;

    public async Task InitializeAsync()
    {
        _cluster = await TestCluster.StartReadyAsync(2);
        _http = new HttpClient { BaseAddress = _cluster.Host.ApiAddress };
    }

    public async Task DisposeAsync()
    {
        _http.Dispose();
        await _cluster.DisposeAsync();
    }

    [Fact]
    public async Task Nothing_else_than_there_is_gives_the_plan_that_there_is()
    {
        var answer = await AskAsync("{}");
        var now = JsonSerializer.Deserialize(await _http.GetStringAsync("/v1/cluster"), ClusterJson.Default.ClusterSnapshot)!.Replicas[0].Plan!;
        Assert.Equal((2, 1, ""), (answer.Workers, answer.Hosts, answer.Refused));
        Assert.Equal((now.TokenSeconds, now.Choice, now.KvBlocks), (answer.Plan!.TokenSeconds, answer.Plan.Choice, answer.Plan.KvBlocks));
    }

    [Fact]
    public async Task More_workers_are_machines_of_their_own_over_the_link_that_was_said()
    {
        var slow = await AskAsync("""{"workers":6,"link_bytes_per_second":1000000,"link_round_trip_microseconds":2000}""");
        var fast = await AskAsync("""{"workers":6,"link_bytes_per_second":12500000000,"link_round_trip_microseconds":10}""");
        Assert.Equal((6, 3, 6), (slow.Workers, slow.Hosts, slow.Plan!.Stages.Count));
        Assert.True(slow.Plan.TokenSeconds > fast.Plan!.TokenSeconds);
        Assert.True(slow.Plan.Token.Transfer > fast.Plan.Token.Transfer);
    }

    [Fact]
    public async Task Other_types_have_other_sizes()
    {
        var (asServed, smaller) = (await AskAsync("{}"), await AskAsync("""{"quantization":"q4_0"}"""));
        Assert.True(smaller.WeightBytes < 0.7 * asServed.WeightBytes, $"{smaller.WeightBytes} of {asServed.WeightBytes}");
        Assert.EndsWith("as q4_0", smaller.Model);
    }

    [Fact]
    public async Task What_does_not_fit_is_refused_with_the_sum()
    {
        var answer = await AskAsync("""{"memory_bytes":1000000}""");
        Assert.Null(answer.Plan);
        Assert.Contains("does not fit", answer.Refused);
        Assert.Contains("--expert-parallel is on, but LlamaCluster demo 5M has no experts", (await AskAsync("""{"expert_parallel":"on"}""")).Refused);
    }

    [Theory]
    [InlineData("""{"workers":0}""", "'workers' must be a whole number between 1 and 128")]
    [InlineData("""{"workers":129}""", "'workers' must be a whole number between 1 and 128")]
    [InlineData("""{"quantization":"q9"}""", "'q9' is no type of matrices")]
    [InlineData("""{"expert_parallel":"yes"}""", "'expert_parallel' must be auto or on or off")]
    [InlineData("""{"objective":"beauty"}""", "'objective' must be latency or throughput")]
    public async Task What_cannot_be_asked_is_refused_by_name(string question, string expected)
    {
        using var answer = await _http.PostAsync("/v1/cluster/plan", new StringContent(question, Encoding.UTF8, "application/json"));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains(
            expected,
            JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement.GetProperty("error").GetProperty("message").GetString());
    }

    async Task<WhatIfAnswer> AskAsync(string question)
    {
        using var answer = await _http.PostAsync("/v1/cluster/plan", new StringContent(question, Encoding.UTF8, "application/json"));
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, text);
        return JsonSerializer.Deserialize(text, ClusterJson.Default.WhatIfAnswer)!;
    }
}
