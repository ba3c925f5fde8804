using System.Net;
using System.Net.Http.Json;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Integration.Tests.Up;
using LlamaCluster.Testing;

namespace LlamaCluster.Deployment.Tests.Memory;

/// <summary>A worker in a container with a limit offers most of it and keeps within it.</summary>
public sealed class MemoryLimitTests
{
    const long Limit = 2L << 30;

    /// <summary>What nearly fills what is offered: 1.6 GiB of weights as Q8_0, with KV cache and buffers.</summary>
    const string Model = "shape:hidden=2048,layers=26,ffn=8192,heads=32,kv-heads=8,vocab=4096;type=q8_0";

    const int Requests = 4;

    [MemoryLimitFact]
    public async Task A_worker_with_2_GiB_offers_85_percent_and_is_not_killed_when_it_uses_them()
    {
        using var folder = new TempFolder();
        using var limit = new MemoryLimit(Limit);
        var options = new CoordinatorOptions { ModelPath = Model, Listen = "http://127.0.0.1:0", Workers = 1, ContextLength = 512 };
        await using var coordinator = CoordinatorHost.Create(options);
        await coordinator.StartAsync();
        var grpc = coordinator.GrpcAddress.GetLeftPart(UriPartial.Authority);
        await using var worker = CliProcess.StartUnder(
            limit.Runner, "worker", "--coordinator", grpc, "--cache", folder.File("weights"), "--profiles", folder.File("profiles"));
        using var http = new HttpClient { BaseAddress = coordinator.ApiAddress, Timeout = CliProcess.Deadline };
        await ReadyAnswer.WaitAsync(http, HttpStatusCode.OK);

        var offered = coordinator.Members.Snapshot.Members.Single().Capabilities.Machine.MemoryBytes;
        Assert.InRange(offered, (long)(0.85 * Limit), Limit);
        var answers = await Task.WhenAll(Enumerable.Range(0, Requests).Select(number => http.PostAsJsonAsync(
            "/v1/completions", new { model = coordinator.Model.Name, prompt = $"{number} {new string('a', 60)}", max_tokens = 2 })));

        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.OK, answer.StatusCode));
        Assert.Equal(0, limit.Kills);
        await Signals.SendAsync("TERM", worker.Id);
        Assert.Equal(0, await worker.ExitAsync());
    }
}
