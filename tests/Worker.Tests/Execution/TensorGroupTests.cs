using LlamaCluster.Model.Sequences;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.Tests.Fakes;
using static LlamaCluster.Protos.StepFailed.Types;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Execution;

/// <summary>Workers that share stages, over real links, with a model whose answers are known: token t becomes t + layers.</summary>
public class TensorGroupTests(ModelFile file) : IClassFixture<ModelFile>
{
    [Theory]
    [InlineData(PeerLinkPreference.Auto, 2)]
    [InlineData(PeerLinkPreference.Tcp, 2)]
    [InlineData(PeerLinkPreference.Grpc, 2)]
    [InlineData(PeerLinkPreference.Auto, 3)]
    [InlineData(PeerLinkPreference.Grpc, 2, 1, 3)]
    [InlineData(PeerLinkPreference.Tcp, 1, 3, 2)]
    [InlineData(PeerLinkPreference.Shm, 3, 2)]
    public async Task Step_ThroughStagesOfAnyRanks_GivesTheFirstRanksSamples(PeerLinkPreference link, params int[] ranks)
    {
        await using var workers = await Workers.StartAsync(ranks.Sum(), options => options with { PeerLink = link });
        await using var pipeline = await OpenAsync(workers, ranks);
        for (var step = 0; step < 5; step++)
        {
            var result = await pipeline.ExecuteAsync(pipeline.Step((ulong)step + 1, step * 3, 10, 20, 30 + step));
            Assert.Equal(30 + step + file.Layers, Assert.Single(Assert.Single(result.Sequences).Tokens).Id);
        }
        var lines = workers.All.SelectMany(worker => worker.Log.Lines).Where(line => line.Contains("partial sums to")).ToArray();
        Assert.Equal(ranks.Sum(count => count * (count - 1) / 2), lines.Length);
        if (link != PeerLinkPreference.Auto) Assert.All(lines, line => Assert.Contains($"go by {link}; 32 KiB take one way", line));
    }

    [Fact]
    public async Task Step_OfRanks_SaysHowLongTheySynchronisedAndWhatTheySent()
    {
        await using var workers = await Workers.StartAsync(2);
        await using var pipeline = await OpenAsync(workers, [2]);
        await pipeline.SendAsync(pipeline.Step(1, 0, 5));
        await pipeline.SendAsync(pipeline.Step(2, 1, 6));
        for (var step = 0; step < 2; step++)
        {
            var timings = new[] { (await pipeline.ReplyAsync(0)).Result.Timings, (await pipeline.ReplyAsync(1)).Done.Timings };
            Assert.All(timings, rank => Assert.True(rank.SyncMicroseconds > 0));
            // The model's one sum of a step, of one row, to the one other rank.
            Assert.All(timings, rank => Assert.Equal((ulong)file.Model.Config.HiddenSize * sizeof(float), rank.SyncBytes));
        }
    }

    [Theory]
    [InlineData(PeerLinkPreference.Tcp)]
    [InlineData(PeerLinkPreference.Grpc)]
    [InlineData(PeerLinkPreference.Shm)]
    public async Task Rank_ThatDiesInAStep_FailsItOnAllOthersAtOnce(PeerLinkPreference link)
    {
        await using var workers = await Workers.StartAsync(3, options => options with { PeerLink = link });
        using var dying = new ManualResetEventSlim();
        var inStep = new TaskCompletionSource();
        workers[2].Model.OnRun = _ =>
        {
            inStep.TrySetResult();
            dying.Wait(TimeSpan.FromSeconds(20));
            return new StepOutcome.Refused("dead");
        };
        await using var pipeline = await OpenAsync(workers, [3]);
        await pipeline.SendAsync(pipeline.Step(1, 0, 5));
        await Deadline.Within(inStep.Task, "the last rank to be in the step");

        var death = workers[2].DisposeAsync();
        for (var rank = 0; rank < 2; rank++)
        {
            var failed = (await pipeline.ReplyAsync(rank)).Failed;
            Assert.Equal((1UL, Reason.PeerLost), (failed.StepId, failed.Reason));
        }
        dying.Set();
        await Deadline.Within(death.AsTask(), "the worker's end");
        workers.Forget(2);
    }

    [Fact]
    public async Task Rank_ThatIsSilent_FailsTheStepAtTheDeadline()
    {
        await using var workers = await Workers.StartAsync(2, options => options with { PeerTimeout = TimeSpan.FromSeconds(1) });
        await using var pipeline = await OpenAsync(workers, [2]);
        await pipeline.SendAsync(0, new Wire.StepRequest { Step = pipeline.Step(1, 0, 5) });
        var failed = (await pipeline.ReplyAsync(0)).Failed;
        Assert.Equal((1UL, Reason.PeerLost), (failed.StepId, failed.Reason));
        Assert.Matches("^rank 1 .*: nothing came for 1 s$", failed.Message);
    }

    /// <summary>The view is over, the weights stay: the next view begins anew.</summary>
    [Fact]
    public async Task View_AfterALostRank_WorksWithTheSameWeights()
    {
        await using var workers = await Workers.StartAsync(2);
        await using (var pipeline = await OpenAsync(workers, [2]))
        {
            pipeline.Break(1);
            await pipeline.SendAsync(0, new Wire.StepRequest { Step = pipeline.Step(1, 0, 5) });
            Assert.Equal(Reason.PeerLost, (await pipeline.ReplyAsync(0)).Failed.Reason);
        }
        await using var next = await OpenAsync(workers, [2], view: 2);
        Assert.Equal(5 + file.Layers, (await next.ExecuteAsync(next.Step(1, 0, 5))).Sequences[0].Tokens[0].Id);
        Assert.All(workers.All, worker => Assert.Equal((1, 1, 1), (worker.Model.Loads, worker.Model.LiveWeights, worker.Model.LiveStages)));
    }

    [Fact]
    public async Task Ranks_ThatDisagree_AreRefusedByName()
    {
        await using var workers = await Workers.StartAsync(2);
        var plan = PlanOf(workers, view: 1);
        await TestPipeline.AssignAsync(workers[0], plan, 0, file.Path, request => request.SumType = Wire.ActivationType.Bf16);
        await TestPipeline.AssignAsync(workers[1], plan, 1, file.Path);
        Assert.Contains("the ranks do not agree: sum_type is F32 there and Bf16 here", await OpeningFailureAsync(workers[1], plan, 1));
    }

    [Fact]
    public async Task Ranks_OfDifferentViews_AreRefusedByName()
    {
        await using var workers = await Workers.StartAsync(2);
        var (old, young) = (PlanOf(workers, view: 1), PlanOf(workers, view: 2));
        await TestPipeline.AssignAsync(workers[0], young, 0, file.Path);
        await TestPipeline.AssignAsync(workers[1], old, 1, file.Path);
        Assert.Contains("view_version is 1 there and 2 here", await OpeningFailureAsync(workers[1], old, 1));
    }

    [Fact]
    public async Task Ranks_ThatInsistOnDifferentLinks_AreRefusedByName()
    {
        var count = 0;
        await using var workers = await Workers.StartAsync(
            2, options => options with { PeerLink = count++ == 0 ? PeerLinkPreference.Tcp : PeerLinkPreference.Grpc });
        var plan = PlanOf(workers, view: 1);
        for (var rank = 0; rank < 2; rank++) await TestPipeline.AssignAsync(workers[rank], plan, rank, file.Path);
        Assert.Contains("--peer-link is Grpc there and Tcp here", await OpeningFailureAsync(workers[1], plan, 1));
    }

    static async Task<string> OpeningFailureAsync(TestWorker worker, ClusterPlan plan, int index)
    {
        using var stream = worker.Steps.Run();
        await stream.RequestStream.WriteAsync(TestPipeline.Open(plan, index));
        Assert.True(await Deadline.Within(stream.ResponseStream.MoveNext(CancellationToken.None), "an answer"));
        return stream.ResponseStream.Current.Failed.Message;
    }

    ClusterPlan PlanOf(Workers workers, ulong view) =>
        TestPipeline.PlanOf([.. workers.All.Select(worker => worker.Host.Address)], file.Digest, file.Layers, view, [2]);

    Task<TestPipeline> OpenAsync(Workers workers, int[] ranks, ulong view = 1) =>
        TestPipeline.StartAsync(workers.All, file.Path, file.Digest, file.Layers, view, ranks: ranks);
}
