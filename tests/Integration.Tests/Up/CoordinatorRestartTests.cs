using System.Net;
using LlamaCluster.Testing;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>The coordinator dies, and the next one of the same cluster finds the workers and what they hold.</summary>
public sealed class CoordinatorRestartTests
{
    [Fact]
    public async Task Workers_register_with_the_next_coordinator_and_load_nothing_again()
    {
        using var folder = new TempFolder();
        await using var first = Start(folder, "http://127.0.0.1:0", "http://127.0.0.1:0");
        var addresses = (await first.ErrorLineAsync("listening api=")).Split(' ');
        var (api, grpc) = (addresses[1]["api=".Length..], addresses[2]["grpc=".Length..]);
        await using var one = Worker(grpc, "one");
        await using var two = Worker(grpc, "two");
        using var http = new HttpClient { BaseAddress = new Uri(api), Timeout = CliProcess.Deadline };
        await ReadyAnswer.WaitAsync(http, HttpStatusCode.OK);
        await Signals.SendAsync("KILL", first.Id);
        await first.ExitAsync();

        await using var second = Start(folder, api, grpc);
        await second.ErrorLineAsync("listening api=");
        await second.ErrorLineAsync("View 2000000001 is ready");
        await ReadyAnswer.WaitAsync(http, HttpStatusCode.OK);
        Assert.DoesNotContain(": Loading, weights", second.Log);
        Assert.Contains(": Verifying, weights", second.Log);   // the next coordinator may have another model in the file
    }

    [Fact]
    public async Task A_worker_without_a_coordinator_for_too_long_frees_its_memory_and_goes_on_trying()
    {
        using var folder = new TempFolder();
        await using var first = Start(folder, "http://127.0.0.1:0", "http://127.0.0.1:0");
        var addresses = (await first.ErrorLineAsync("listening api=")).Split(' ');
        var (api, grpc) = (addresses[1]["api=".Length..], addresses[2]["grpc=".Length..]);
        await using var one = Worker(grpc, "one", "--orphan-timeout", "1");
        await using var two = Worker(grpc, "two", "--orphan-timeout", "1");
        using var http = new HttpClient { BaseAddress = new Uri(api), Timeout = CliProcess.Deadline };
        await ReadyAnswer.WaitAsync(http, HttpStatusCode.OK);
        await Signals.SendAsync("KILL", first.Id);
        foreach (var worker in new[] { one, two })
            await worker.ErrorLineAsync("Gave up the model it held, and registers without: no coordinator for 1 s (--orphan-timeout)");
        await using var second = Start(folder, api, grpc);
        await second.ErrorLineAsync("listening api=");
        await ReadyAnswer.WaitAsync(http, HttpStatusCode.OK);
        Assert.Contains(": Loading, weights", second.Log);
    }

    static CliProcess Start(TempFolder folder, string api, string grpc) => CliProcess.Start(
        "coordinator", "--listen", api, "--grpc-listen", grpc, "--data-dir", folder.Path, "--tensor-parallel", "1");

    static CliProcess Worker(string grpc, string name, params string[] more) => CliProcess.Start(
        ["worker", "--coordinator", grpc, "--name", name, "--threads", "1", "--memory", "1GB", .. more]);
}
