using Grpc.Core;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Loading;
using LlamaCluster.Worker.Tests.Fakes;
using Microsoft.Extensions.DependencyInjection;
using static LlamaCluster.Protos.RankFrame.Types;
using ClusterPlan = LlamaCluster.Planning.Plans.ClusterPlan;

namespace LlamaCluster.Worker.Tests.Services;

/// <summary>A worker that is rank 0 of two, called by who may be no rank at all.</summary>
public sealed class ReduceServiceTests(ModelFile file) : IClassFixture<ModelFile>
{
    [Fact]
    public async Task What_begins_with_no_hello_is_refused()
    {
        await using var workers = await StartAsync();
        using var call = Call(workers[0]);
        await call.RequestStream.WriteAsync(new RankMessage { Frame = new RankFrame() });

        AssertRefused(StatusCode.InvalidArgument, "the first message of an Exchange stream must be hello", await FailureAsync(call));
    }

    [Fact]
    public async Task A_worker_without_a_shared_shard_says_so()
    {
        await using var lonely = await TestWorker.StartAsync();
        await TestPipeline.AssignAsync(lonely, TestPipeline.PlanOf([lonely], file.Digest, file.Layers, view: 1), 0, file.Path);
        using var call = Call(lonely);
        await call.RequestStream.WriteAsync(new RankMessage { Hello = new RankHello() });

        AssertRefused(StatusCode.FailedPrecondition, "this worker holds no shard that is shared", await FailureAsync(call));
    }

    public static TheoryData<string, Action<RankHello>> Strangers => new()
    {
        { "model_digest is ", hello => hello.ModelDigest = new string('0', 64) },
        { "view_version is 9 there and 1 here", hello => hello.ViewVersion = 9 },
        { "hidden_size is 1 there", hello => hello.HiddenSize = 1 },
        { "shard.rank is 0, which is not another rank than 0 of 2", hello => hello.Shard.Rank = 0 },
    };

    [Theory]
    [MemberData(nameof(Strangers))]
    public async Task Who_disagrees_is_refused_by_name_and_the_right_rank_still_links(string expected, Action<RankHello> change)
    {
        await using var workers = await StartAsync();
        using (var call = Call(workers[0]))
        {
            var hello = HelloOf(workers[1]);
            change(hello);
            await call.RequestStream.WriteAsync(new RankMessage { Hello = hello });
            AssertRefused(StatusCode.FailedPrecondition, $"the ranks do not agree: {expected}", await FailureAsync(call));
        }

        await AssertWorksAsync(workers);
    }

    [Fact]
    public async Task A_lower_rank_is_told_who_calls()
    {
        await using var workers = await StartAsync();
        using var call = Call(workers[1]);
        await call.RequestStream.WriteAsync(new RankMessage { Hello = HelloOf(workers[0]) });

        AssertRefused(StatusCode.FailedPrecondition, "rank 0 is called by rank 1, not the other way round", await FailureAsync(call));
    }

    [Fact]
    public async Task A_second_link_of_the_same_rank_is_refused()
    {
        await using var workers = await StartAsync();
        using var first = Call(workers[0]);
        await ChooseAsync(first, HelloOf(workers[1]), PeerLinkType.Grpc);
        using var second = Call(workers[0]);
        await ChooseAsync(second, HelloOf(workers[1]), PeerLinkType.Grpc);

        // One of the two is; which one came second only the worker knows.
        var refused = await await Task.WhenAny(FailureAsync(first), FailureAsync(second));
        AssertRefused(StatusCode.FailedPrecondition, "view 1 has a link to rank 1", refused);
    }

    [Fact]
    public async Task Who_chooses_a_direct_connection_that_it_has_not_opened_is_refused_at_once()
    {
        await using var workers = await StartAsync();
        using (var call = Call(workers[0]))
        {
            await ChooseAsync(call, HelloOf(workers[1]), PeerLinkType.Tcp);
            AssertRefused(StatusCode.Aborted, "chose a direct connection that it has not opened", await FailureAsync(call));
        }

        await AssertWorksAsync(workers);
    }

    [Fact]
    public async Task Who_sends_sums_before_a_link_is_chosen_is_refused()
    {
        await using var workers = await StartAsync();
        using var call = Call(workers[0]);
        await call.RequestStream.WriteAsync(new RankMessage { Hello = HelloOf(workers[1]) });
        await call.RequestStream.WriteAsync(new RankMessage { Frame = new RankFrame { ViewVersion = 1, Content = Content.SumF32 } });

        AssertRefused(StatusCode.Aborted, "sent SumF32 of view 1, step 0, exchange 0, chunk 0 while the link was being measured", await FailureAsync(call));
    }

    /// <summary>Says hello and, without a probe, what it chose.</summary>
    static async Task ChooseAsync(AsyncDuplexStreamingCall<RankMessage, RankMessage> call, RankHello hello, PeerLinkType chosen)
    {
        await call.RequestStream.WriteAsync(new RankMessage { Hello = hello });
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).Soon());
        Assert.NotNull(call.ResponseStream.Current.Hello.Direct);
        await call.RequestStream.WriteAsync(new RankMessage { Frame = new RankFrame { ViewVersion = 1, Content = Content.ProbeEnd, Chunk = (uint)chosen } });
    }

    static async Task<RpcException> FailureAsync(AsyncDuplexStreamingCall<RankMessage, RankMessage> call) => await Assert.ThrowsAsync<RpcException>(async () =>
    {
        while (await call.ResponseStream.MoveNext(CancellationToken.None).Soon()) Assert.NotNull(call.ResponseStream.Current.Hello);
    });

    static void AssertRefused(StatusCode code, string why, RpcException failure)
    {
        Assert.Contains(why, failure.Status.Detail);
        Assert.Equal(code, failure.StatusCode);
    }

    static AsyncDuplexStreamingCall<RankMessage, RankMessage> Call(TestWorker worker) =>
        new Reduce.ReduceClient(worker.Calls).Exchange(deadline: Deadline.Call);

    /// <summary>What the worker itself would say.</summary>
    static RankHello HelloOf(TestWorker worker) =>
        worker.Host.Services.GetRequiredService<ShardKeeper>().Current!.Executor.Group!.Shape.ToHello(PeerLinkPreference.Auto);

    ClusterPlan PlanOf(Workers workers) => TestPipeline.PlanOf([.. workers.All.Select(worker => worker.Host.Address)], file.Digest, file.Layers, 1, [2]);

    async Task<Workers> StartAsync()
    {
        var workers = await Workers.StartAsync(2);
        for (var rank = 0; rank < 2; rank++) await TestPipeline.AssignAsync(workers[rank], PlanOf(workers), rank, file.Path);
        return workers;
    }

    async Task AssertWorksAsync(Workers workers)
    {
        await using var pipeline = await TestPipeline.OpenAsync(workers.All, PlanOf(workers));
        Assert.Equal(5 + file.Layers, (await pipeline.ExecuteAsync(pipeline.Step(1, 0, 5))).Sequences[0].Tokens[0].Id);
    }
}
