using System.Net;
using System.Text;
using System.Text.Json;
using LlamaCluster.Testing;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>Workers die, and the same streams go on with the same bits.</summary>
public sealed class RecoveryTests
{
    const string Sampled =
        """{"prompt":"Once upon a time","max_tokens":250,"temperature":0.7,"seed":5,"repetition_penalty":1.1"""
        + ""","logprobs":2,"n":2,"ignore_eos":true,"stream":true}""";

    /// <summary>A stage of three, with nobody to spare (which of them, tests/Chaos tries); a rank of two with a spare, which takes its very place.</summary>
    [Theory]
    [InlineData(1, 3, 3, 1)]
    [InlineData(0, 3, 2, 2)]
    public async Task A_stream_goes_on_with_the_same_tokens_and_log_probabilities_when_a_worker_is_killed(int victim, int workers, int wanted, int ranks)
    {
        await using var cluster = await SpareCluster.StartAsync(workers, wanted, "--tensor-parallel", $"{ranks}");
        var expected = await (await EventStream.OpenAsync(cluster.Http, Sampled)).RestAsync();
        using var stream = await EventStream.OpenAsync(cluster.Http, Sampled);
        await stream.ReadAsync(60);
        await cluster.KillServingAsync(victim);
        Assert.Equal(expected, await stream.RestAsync());
        Assert.Contains("sequences go on in view", cluster.Coordinator.Log);
    }

    [Fact]
    public async Task A_whole_answer_only_takes_longer()
    {
        await using var cluster = await SpareCluster.StartAsync(2, 2, "--tensor-parallel", "1");
        const string body = """{"prompt":"Once upon a time","max_tokens":400,"temperature":0,"ignore_eos":true,"stop":["zzzz"]}""";
        var expected = await ChoicesAsync(cluster.Http, body);
        using var beside = await EventStream.OpenAsync(cluster.Http, Sampled);   // tells that the other one runs too
        var running = ChoicesAsync(cluster.Http, body);
        await beside.ReadAsync(20);
        await cluster.KillServingAsync(1);
        Assert.Equal(expected, await running);
        await beside.RestAsync();
    }

    [Fact]
    public async Task Where_nobody_can_take_over_a_stream_ends_with_a_code_and_when_to_come_back()
    {
        await using var cluster = await SpareCluster.StartAsync(2, 2, "--min-workers", "2", "--recovery-timeout", "2");
        using var stream = await EventStream.OpenAsync(cluster.Http, Sampled);
        await stream.ReadAsync(20);
        await cluster.KillServingAsync(0);
        using var whole = await cluster.Http.PostAsync(
            "/v1/completions",
            new StringContent("""{"prompt":"Once","max_tokens":4}""", Encoding.UTF8, "application/json"));
        Assert.Equal((HttpStatusCode.ServiceUnavailable, TimeSpan.FromSeconds(2)), (whole.StatusCode, whole.Headers.RetryAfter?.Delta));
        Assert.Contains("no other worker could take over within 2 s", await whole.Content.ReadAsStringAsync());
        using var error = JsonDocument.Parse((await stream.RestAsync(mayFail: true))[^1]);
        var failure = error.RootElement.GetProperty("error");
        Assert.Equal(("generation_interrupted", 2), (failure.GetProperty("code").GetString(), failure.GetProperty("retry_after").GetInt32()));
    }

    [Fact]
    public async Task Up_goes_on_with_those_left_and_grows_again_when_the_dead_one_is_back()
    {
        await using var cluster = await LocalCluster.StartAsync("--workers", "2", "--threads-per-worker", "1");
        var expected = await (await EventStream.OpenAsync(cluster.Http, Sampled)).RestAsync();
        using var stream = await EventStream.OpenAsync(cluster.Http, Sampled);
        await stream.ReadAsync(60);
        var victim = Signals.ChildrenOf(cluster.Process.Id)[0];
        await Signals.SendAsync("KILL", victim.Id);
        Assert.Equal(expected, await stream.RestAsync());
        await cluster.Process.ErrorLineAsync($"(process {victim.Id}) ended with exit code 137; it is started again in 1 s");
        await cluster.Process.ErrorLineAsync("2 workers are to take over from 1");
        await ReadyAnswer.WaitAsync(cluster.Http, HttpStatusCode.OK, "\"serving\":2");
        Assert.Equal(expected, await (await EventStream.OpenAsync(cluster.Http, Sampled)).RestAsync());
    }

    [Fact]
    public async Task A_stream_goes_on_with_the_same_tokens_when_the_draft_models_worker_is_killed()
    {
        const string drafts = "drafts, on draft-worker";
        string[] options =
        [
            "--workers", "1", "--threads-per-worker", "1",
            "--draft-model", SharedFiles.Demo("llamacluster-demo-5m-q4_k_m.gguf"), "--draft-tokens", "2",
        ];
        await using var cluster = await LocalCluster.StartAsync(options);
        await cluster.Process.ErrorLineAsync(drafts);
        var expected = await (await EventStream.OpenAsync(cluster.Http, Sampled)).RestAsync();
        using var stream = await EventStream.OpenAsync(cluster.Http, Sampled);
        await stream.ReadAsync(60);
        await Signals.SendAsync(
            "KILL", Signals.ChildrenOf(cluster.Process.Id).Single(child => File.ReadAllText($"/proc/{child.Id}/cmdline").Contains("draft-worker")).Id);
        Assert.Equal(expected, await stream.RestAsync());
        await cluster.Process.ErrorLineAsync("There are no drafts of llamacluster-demo-5m-q4_k_m until it has a worker again");
        await cluster.Process.ErrorLineAsync(drafts);
        Assert.Equal(expected, await (await EventStream.OpenAsync(cluster.Http, Sampled)).RestAsync());
    }

    [Fact]
    public async Task A_worker_that_is_told_to_leave_goes_at_once_and_its_stream_goes_on_elsewhere()
    {
        await using var cluster = await SpareCluster.StartAsync(3, 2, "--tensor-parallel", "1");
        var expected = await (await EventStream.OpenAsync(cluster.Http, Sampled)).RestAsync();
        using var stream = await EventStream.OpenAsync(cluster.Http, Sampled);
        await stream.ReadAsync(60);
        var leaving = cluster.Serving(0);
        await Signals.SendAsync("TERM", leaving.Id);
        Assert.Equal(0, await leaving.ExitAsync());
        Assert.Equal(expected, await stream.RestAsync());
        Assert.Contains("is leaving", cluster.Coordinator.Log);
    }

    [Fact]
    public async Task A_frozen_worker_is_replaced_and_is_spare_when_it_wakes()
    {
        await using var cluster = await SpareCluster.StartAsync(3, 2, "--tensor-parallel", "1");
        var expected = await (await EventStream.OpenAsync(cluster.Http, Sampled)).RestAsync();
        using var stream = await EventStream.OpenAsync(cluster.Http, Sampled);
        await stream.ReadAsync(60);
        var frozen = cluster.Serving(0);
        await Signals.SendAsync("STOP", frozen.Id);
        Assert.Equal(expected, await stream.RestAsync());
        await Signals.SendAsync("CONT", frozen.Id);
        await cluster.Coordinator.ErrorLineAsync("is well again");
        Assert.DoesNotContain("is lost", cluster.Coordinator.Log);
    }

    static async Task<string> ChoicesAsync(HttpClient http, string body)
    {
        using var answer = await http.PostAsync("/v1/completions", new StringContent(body, Encoding.UTF8, "application/json"));
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, text);
        using var json = JsonDocument.Parse(text);
        return json.RootElement.GetProperty("choices").GetRawText();
    }
}
