using System.Net;
using LlamaCluster.Testing;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>`coordinator` and `worker`, started one by one as on several machines.</summary>
public sealed class SeparateProcessesTests
{
    [Fact]
    public async Task Workers_join_a_coordinator_and_leave_it()
    {
        await using var coordinator = CliProcess.Start("coordinator", "--listen", "http://127.0.0.1:0", "--grpc-listen", "http://127.0.0.1:0", "--min-workers", "2");
        var addresses = (await coordinator.ErrorLineAsync("listening api=")).Split(' ');
        using var http = new HttpClient { BaseAddress = new Uri(addresses[1]["api=".Length..]), Timeout = CliProcess.Deadline };
        using (var early = await http.GetAsync("/ready")) Assert.Equal(HttpStatusCode.ServiceUnavailable, early.StatusCode);

        var grpc = addresses[2]["grpc=".Length..];
        await using var first = CliProcess.Start("worker", "--coordinator", grpc, "--name", "first", "--threads", "1");
        await using var second = CliProcess.Start("worker", "--coordinator", grpc, "--name", "second", "--threads", "1");
        await ReadyAnswer.WaitAsync(http, HttpStatusCode.OK);

        await Signals.SendAsync("TERM", second.Id);
        Assert.Equal(0, await second.ExitAsync());
        await ReadyAnswer.WaitAsync(http, HttpStatusCode.ServiceUnavailable);
        await Signals.SendAsync("TERM", first.Id);
        Assert.Equal(0, await first.ExitAsync());
        await Signals.SendAsync("TERM", coordinator.Id);
        Assert.Equal(0, await coordinator.ExitAsync());
    }

    [Fact]
    public async Task A_worker_says_where_its_caches_are()
    {
        using var folder = new TempFolder();
        await using var worker = CliProcess.StartWith(
            new() { ["XDG_CACHE_HOME"] = folder.Path }, "worker", "--coordinator", "http://127.0.0.1:1", "--threads", "1", "--memory", "1GB");
        await worker.ErrorLineAsync($"Weights are kept in {folder.Path}/llamacluster/weights, measurements in {folder.Path}/llamacluster/profiles");
        await Signals.SendAsync("TERM", worker.Id);
        Assert.Equal(0, await worker.ExitAsync());
    }
}
