using System.Net;
using System.Net.Http.Headers;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Hub;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>`coordinator` and `worker`, started one by one as on several machines.</summary>
public sealed class SeparateProcessesTests
{
    [Fact]
    public async Task Workers_join_a_coordinator_and_leave_it()
    {
        await using var coordinator = CliProcess.Start(
            "coordinator", "--listen", "http://127.0.0.1:0", "--grpc-listen", "http://127.0.0.1:0", "--min-workers", "2");
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

    /// <summary>The coordinator's files are put out of the workers' sight once it has opened them, as if these were other machines.</summary>
    [Fact]
    public async Task Workers_fetch_their_layers_from_the_hub_that_the_coordinator_names()
    {
        const string demo = "models/demo/llamacluster-demo-5m-q8_0.gguf";
        using var folder = new TempFolder();
        await using var hub = await FakeHub.StartAsync((Path.GetFileName(demo), File.ReadAllBytes(Path.Combine(SharedFiles.Repository, demo))));
        Dictionary<string, string?> environment = new() { ["HF_HUB_CACHE"] = folder.File("hub"), ["HF_ENDPOINT"] = null, ["HF_TOKEN"] = null };
        await using var coordinator = CliProcess.StartWith(
            environment, "coordinator", "--listen", "http://127.0.0.1:0", "--grpc-listen", "http://127.0.0.1:0", "--model", "hf://org/model", "--hub", hub.Url,
            "--weights-from", "hub", "--min-workers", "2");
        var addresses = (await coordinator.ErrorLineAsync("listening api=")).Split(' ');
        Directory.Move(folder.File("hub"), folder.File("elsewhere"));
        var pulled = hub.Reads.Count;

        var grpc = addresses[2]["grpc=".Length..];
        await using var first = CliProcess.StartWith(
            environment, "worker", "--coordinator", grpc, "--name", "first", "--threads", "1", "--cache", folder.File("first"));
        await using var second = CliProcess.StartWith(
            environment, "worker", "--coordinator", grpc, "--name", "second", "--threads", "1", "--cache", folder.File("second"));
        using var http = new HttpClient { BaseAddress = new Uri(addresses[1]["api=".Length..]), Timeout = CliProcess.Deadline };
        await ReadyAnswer.WaitAsync(http, HttpStatusCode.OK);

        await first.ErrorLineAsync("from hub 127.0.0.1");
        await second.ErrorLineAsync("from hub 127.0.0.1");
        Assert.True(hub.Reads.Count >= pulled + 2, $"{hub.Reads.Count - pulled} ranges were read by two workers");
        using var text = new StringContent(
            """{"model":"llamacluster-demo-5m-q8_0","prompt":"What","max_tokens":3}""", new MediaTypeHeaderValue("application/json"));
        using var answer = await http.PostAsync("/v1/completions", text);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
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
