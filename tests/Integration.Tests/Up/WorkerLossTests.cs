using System.Net;
using System.Net.Http.Json;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>Workers of `up` that die again and again, or do not move any more.</summary>
public sealed class WorkerLossTests
{
    [Fact]
    public async Task A_worker_that_dies_too_often_ends_up_with_the_reason_where_too_few_are_left()
    {
        await using var cluster = await LocalCluster.StartAsync("--workers", "2", "--min-workers", "2", "--threads-per-worker", "1", "--restart-limit", "1");
        await Signals.SendAsync("KILL", Signals.ChildrenOf(cluster.Process.Id)[1].Id);
        await cluster.Process.ErrorLineAsync("it is started again in 1 s (1 of 1)");
        await ReadyAnswer.WaitAsync(cluster.Http, HttpStatusCode.ServiceUnavailable);
        await ReadyAnswer.WaitAsync(cluster.Http, HttpStatusCode.OK);
        var first = Signals.ChildrenOf(cluster.Process.Id)[0];
        await Signals.SendAsync("KILL", Signals.ChildrenOf(cluster.Process.Id)[1].Id);
        var line = await cluster.Process.ErrorLineAsync("error: ");
        Assert.Contains("ended with exit code 137: it died soon after its start 2 times in a row (--restart-limit is 1); its last line was: ", line);
        Assert.EndsWith("; 1 of 2 workers are left, and --min-workers is 2", line);
        Assert.Equal(1, await cluster.Process.ExitAsync());
        await Signals.AssertGoneAsync(first);
    }

    [Fact]
    public async Task Those_that_are_left_serve_on_without_a_worker_that_is_not_started_again()
    {
        await using var cluster = await LocalCluster.StartAsync("--workers", "2", "--threads-per-worker", "1", "--restart-limit", "0");
        await Signals.SendAsync("KILL", Signals.ChildrenOf(cluster.Process.Id)[1].Id);
        Assert.EndsWith("; it is not started again, and 1 of 2 workers serve on", await cluster.Process.ErrorLineAsync("--restart-limit is 0"));
        await ReadyAnswer.WaitAsync(cluster.Http, HttpStatusCode.OK);
        var asked = new { prompt = "How", max_tokens = 3 };
        using var answer = await cluster.Http.PostAsJsonAsync("/v1/completions", asked).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        await Signals.SendAsync("KILL", Signals.ChildrenOf(cluster.Process.Id)[0].Id);
        Assert.Contains("--restart-limit is 0", await cluster.Process.ErrorLineAsync("error: "));
        Assert.Equal(1, await cluster.Process.ExitAsync());
    }

    [Theory]
    [InlineData("TERM", 0)]
    [InlineData("KILL", 137)]
    public async Task A_frozen_worker_does_not_outlive_up(string signal, int exitCode)
    {
        await using var cluster = await LocalCluster.StartAsync("--workers", "2", "--threads-per-worker", "1");
        var workers = Signals.ChildrenOf(cluster.Process.Id);
        await Signals.SendAsync("STOP", workers[1].Id);
        await Signals.SendAsync(signal, cluster.Process.Id);
        Assert.Equal(exitCode, await cluster.Process.ExitAsync());
        foreach (var worker in workers) await Signals.AssertGoneAsync(worker);
    }

    [Theory]
    [InlineData(2, "error: --tensor-parallel is 9; a stage of LlamaCluster demo 5M can be shared by at most 8: 9 ranks cannot", "--tensor-parallel", "9")]
    [InlineData(1, "error: the model does not fit: ", "--model", "shape:llama-3.1-405b;type=f32")]
    public async Task What_these_workers_can_never_serve_is_said_at_once(int exitCode, string problem, params string[] options)
    {
        await using var process = CliProcess.Start(["up", "--port", "0", .. options]);
        Assert.Contains(problem, await process.ErrorLineAsync("error: "));
        Assert.Equal(exitCode, await process.ExitAsync());
    }
}
