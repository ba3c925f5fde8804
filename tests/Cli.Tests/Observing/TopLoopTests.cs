using System.Text.Json;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cli.Observing;
using LlamaCluster.Coordinator.Observing;
using LlamaCluster.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Spectre.Console.Rendering;

namespace LlamaCluster.Cli.Tests.Observing;

/// <summary>How `top` follows a coordinator that answers, goes and comes back.</summary>
public sealed class TopLoopTests
{
    [Fact]
    public async Task One_picture_waits_for_the_second_moment()
    {
        await using var api = await StubCluster.StartAsync(Snapshots.Two.With(replica => replica with { Rates = null }), Snapshots.Two);
        var run = await CommandRun.OfAsync("", "top", "--once", "--url", api.Url);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("61.5 tok/s", run.Output);
    }

    [Fact]
    public async Task A_coordinator_that_was_never_there_is_one_line()
    {
        var run = await CommandRun.OfAsync("", "top", "--url", "http://127.0.0.1:1");
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("http://127.0.0.1:1 cannot be reached", run.ErrorLine);
    }

    [Fact]
    public async Task Another_server_is_said_to_be_none()
    {
        await using var api = await Chat.StubApi.StartAsync(_ => "");
        var run = await CommandRun.OfAsync("", "top", "--json", "--url", api.Url);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("is no coordinator of this version", run.ErrorLine);
    }

    [Fact]
    public async Task Json_is_what_the_coordinator_says()
    {
        await using var api = await StubCluster.StartAsync(Snapshots.Two);
        var run = await CommandRun.OfAsync("", "top", "--json", "--url", api.Url);
        Assert.Equal(0, run.ExitCode);
        Assert.Equal("llama-8b", JsonSerializer.Deserialize(run.Output, ClusterJson.Default.ClusterSnapshot)!.Model.Id);
    }

    [Fact]
    public async Task A_coordinator_that_goes_is_told_of_and_waited_for()
    {
        await using var api = await StubCluster.StartAsync(Snapshots.Two);   // each stream ends after its events
        var (time, display) = (new ManualTimeProvider(), new Record());
        using var told = new CancellationTokenSource();
        using var client = new ClusterClient(new Uri(api.Url), TimeProvider.System);
        var running = new TopLoop(client, display, time).RunAsync(once: false, told);
        await time.TimersSetAsync(1).Soon("the first stream has ended");
        Assert.Equal((1, 1), (display.Shown, display.Problems.Count));
        Assert.Contains("closed the connection", display.Problems[0]);
        time.Advance(TimeSpan.FromSeconds(1));
        await time.TimersSetAsync(1).Soon("the second stream has ended");
        Assert.Equal(2, display.Shown);
        await told.CancelAsync();
        Assert.Equal(ExitCode.Done, await running.Soon());
    }

    sealed class Record : TopDisplay
    {
        public int Shown { get; private set; }

        public List<string> Problems { get; } = [];

        public override Task RunAsync(Func<Task> follow, CancellationTokenSource told) => follow();

        public override void Show(IRenderable frame) => Shown++;

        public override void Tell(string problem, IRenderable last) => Problems.Add(problem);
    }

    /// <summary>A coordinator's /v1/cluster: a stream of some events, or the last of them.</summary>
    sealed class StubCluster(WebApplication app) : IAsyncDisposable
    {
        public string Url => app.Urls.Single();

        public static async Task<StubCluster> StartAsync(params ClusterSnapshot[] snapshots)
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            builder.Logging.ClearProviders();
            var app = builder.Build();
            app.MapGet("/v1/cluster", async http =>
            {
                var streams = http.Request.Headers.Accept == "text/event-stream";
                http.Response.ContentType = streams ? "text/event-stream" : "application/json";
                foreach (var snapshot in streams ? snapshots : snapshots[^1..])
                {
                    var json = JsonSerializer.Serialize(snapshot, ClusterJson.Default.ClusterSnapshot);
                    await http.Response.WriteAsync(streams ? $"event: cluster\ndata: {json}\n\n" : json);
                }
            });
            await app.StartAsync();
            return new StubCluster(app);
        }

        public ValueTask DisposeAsync() => app.DisposeAsync();
    }
}
