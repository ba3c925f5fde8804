using System.Net;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>`coordinator` and `worker`, started one by one as on several machines.</summary>
public sealed class SeparateProcessesTests
{
    [Fact]
    public async Task Workers_join_a_coordinator_and_leave_it()
    {
        await using var coordinator = CliProcess.Start("coordinator", "--listen", "http://127.0.0.1:0", "--grpc-listen", "http://127.0.0.1:0");
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
}
