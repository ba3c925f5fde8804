using System.Net;
using System.Text.Json;
using LlamaCluster.Coordinator.Observing;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Coordinator.Tests.Observing;

/// <summary>What /v1/cluster says of a cluster, once and as a stream.</summary>
public sealed class ClusterEndpointTests
{
    [Fact]
    public async Task It_says_who_does_what_and_what_was_done()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress };
        await cluster.JoinAsync();
        await cluster.MembersAsync(3);
        Assert.Null((await AskAsync(http)).Replicas[0].Rates);
        await cluster.TokensAsync(TestCluster.Request([5, 6, 7], 10));
        var seen = await AskAsync(http);

        Assert.Equal(["serving", "serving", "spare"], seen.Workers.Select(worker => worker.State));
        Assert.Equal(new CountsByState(2, 2, 1, 0, 0, 0), seen.WorkerCounts);
        Assert.Equal((8, "f16", 512), (seen.Model.Layers, seen.Model.KvType, seen.Model.ContextLength));
        var replica = Assert.Single(seen.Replicas);
        Assert.Equal(("replica-0", true, false, "ready", ""), (replica.Name, replica.Ready, replica.Recovering, replica.Phase, replica.Reason));
        Assert.Equal(new ViewFacts(1, InForce: true), replica.View);
        Assert.Equal([(0, 0), (1, 4)], replica.Stages.Select(stage => (stage.Stage, stage.FirstLayer)));
        Assert.Equal(8, replica.Stages.Sum(stage => stage.Layers));
        Assert.All(replica.Stages, stage => Assert.Equal(seen.Workers.Single(worker => worker.Stage == stage.Stage).Id, Assert.Single(stage.Ranks).Worker));
        var link = Assert.Single(replica.Links);
        Assert.Equal(
            (replica.Stages[0].Ranks[0].Worker, replica.Stages[1].Ranks[0].Worker, "activations", true),
            (link.From, link.To, link.Kind, link.SameHost));
        Assert.Equal((10, 3, 10), (replica.Totals.GeneratedTokens, replica.Totals.PromptTokens, replica.Totals.Steps));
        Assert.Equal(1, replica.Totals.Sequences["length"]);
        Assert.Equal((0, 0, 64), (replica.Load.Running, replica.Load.Waiting, replica.Load.MaxRunning));
        Assert.Equal((1, 1), (replica.Latency.FirstToken.Count, replica.Latency.PerToken.Count));
        Assert.True(replica.Rates!.GeneratedTokensPerSecond > 0);
        Assert.Equal(replica.Plan!.TokenSeconds, Sum(replica.Plan.Token), 1e-9);
        Assert.Equal(replica.Plan.TokenSeconds, replica.Plan.Stages.Sum(stage => stage.Seconds) + Sum(replica.Plan.BetweenStages), 1e-9);
        var view = Assert.Single(replica.Views);
        Assert.Equal((1UL, 2, 2, null, ""), (view.Version, view.Stages, view.Workers, view.Ended, view.End));
    }

    [Fact]
    public async Task Who_listens_hears_at_once_that_a_worker_is_lost_and_that_another_took_over()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress };
        await using var listener = await ClusterListener.OpenAsync(http);
        Assert.True((await listener.NextAsync())!.Replicas[0].Ready);

        await cluster.Workers[1].DieAsync();
        var lost = await listener.UntilAsync(seen => seen.Workers.Any(worker => worker.State == "lost"), "a worker is lost");
        Assert.NotEqual("", lost.Workers.First(worker => worker.State == "lost").Problem);
        await cluster.JoinAsync();
        var ready = await listener.UntilAsync(seen => seen.Replicas[0] is { Ready: true, View.Version: > 1 }, "the next view is ready");
        var views = ready.Replicas[0].Views;
        Assert.Contains("worker1", views[0].End);
        Assert.False(views[0].Planned);
        Assert.NotNull(views[0].Ended);
        Assert.Null(views[^1].Ended);
    }

    [Fact]
    public async Task The_address_itself_streams_for_who_accepts_events()
    {
        await using var cluster = await TestCluster.StartAsync();
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress };
        await using var listener = await ClusterListener.OpenAsync(http, "/v1/cluster", "text/event-stream");
        var seen = (await listener.NextAsync())!;
        Assert.Empty(seen.Workers);
        Assert.Equal((false, "waiting"), (seen.Replicas[0].Ready, seen.Replicas[0].Phase));
        Assert.Null(seen.Replicas[0].Plan);
        Assert.NotNull(await listener.NextAsync());
    }

    [Fact]
    public async Task Listeners_are_bounded_and_nothing_happens_when_the_last_has_left()
    {
        await using var cluster = await TestCluster.StartReadyAsync(1);
        var feed = cluster.Host.Services.GetRequiredService<ClusterFeed>();
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress };
        var listening = Enumerable.Range(0, ClusterFeed.MostListeners).Select(_ => feed.TryListen()!).ToList();
        using (var refused = await http.GetAsync("/v1/cluster/events"))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            Assert.Contains("64 listen", await refused.Content.ReadAsStringAsync());
        }
        var first = await listening[0].NextAsync(CancellationToken.None).Soon();
        Assert.Same(first, await listening[1].NextAsync(CancellationToken.None).Soon());
        foreach (var one in listening) one.Dispose();
        listening[0].Dispose();   // once more changes nothing
        Assert.Equal((0, false), (feed.Listeners, feed.IsRunning));
        await using var again = await ClusterListener.OpenAsync(http);
        Assert.NotNull(await again.NextAsync());
    }

    [Fact]
    public async Task Streams_end_when_the_coordinator_stops()
    {
        var cluster = await TestCluster.StartReadyAsync(1);
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress };
        await using var listener = await ClusterListener.OpenAsync(http);
        await listener.NextAsync();
        var rest = Task.Run(async () =>
        {
            while (await listener.NextAsync() is not null) { }
        });
        await cluster.DisposeAsync();
        await rest.Soon("the stream ends");
    }

    static async Task<ClusterSnapshot> AskAsync(HttpClient http)
        => JsonSerializer.Deserialize(await http.GetStringAsync("/v1/cluster"), ClusterJson.Default.ClusterSnapshot)!;

    static double Sum(PartFacts parts) => parts.Weights + parts.Arithmetic + parts.Attention + parts.Exchange + parts.Transfer + parts.Program;
}
