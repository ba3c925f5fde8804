using Grpc.Core;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using static LlamaCluster.Protos.LoadProgress.Types;

namespace LlamaCluster.Coordinator.Tests.Supervision;

public sealed class ClusterSupervisorTests
{
    static readonly int[] Prompt = [5, 6, 7];

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task A_cluster_is_ready_when_all_workers_have_loaded(int workers)
    {
        await using var cluster = await TestCluster.StartReadyAsync(workers);
        Assert.Equal(new EngineStatus(true, "", 1) { MaxPositions = 2048 * 16, Workers = new WorkerCounts(workers, workers, 0, 0, 0) }, cluster.Engine.Status);
        Assert.Equal(Enumerable.Range(0, workers), cluster.Host.Status.Value.Shards.Select(shard => shard.Stage));
        Assert.All(cluster.Host.Status.Value.Shards, shard => Assert.Equal((1.0, Phase.Ready), (shard.Fraction, shard.Phase)));
        Assert.Equal(FakeModel.Continue(Prompt, 10), await cluster.TokensAsync(TestCluster.Request(Prompt)));
    }

    [Fact]
    public async Task Until_enough_workers_are_here_requests_are_refused_and_told_why()
    {
        await using var cluster = await TestCluster.StartAsync();
        await cluster.JoinAsync();
        await cluster.StatusAsync(status => status.Reason.Contains("waiting for workers: 1 of 2 are here"), "it waits for the second");
        var refused = Assert.IsType<SequenceEvent.Refused>(Assert.Single(await cluster.GenerateAsync(TestCluster.Request(Prompt)).Soon()));
        Assert.Equal(Refusal.NotReady, refused.Why);
        Assert.Contains("waiting for workers: 1 of 2", refused.Message);
    }

    [Fact]
    public async Task Loading_is_seen_worker_by_worker()
    {
        await using var cluster = await TestCluster.StartAsync(TestCluster.Options with { Workers = 1 });
        var half = new SyncPoint();
        await cluster.JoinAsync(worker => worker.OnAssign = async (request, responses, _) =>
        {
            await responses.WriteAsync(new LoadProgress { ViewVersion = 1, Phase = Phase.Fetching, BytesDone = 40, BytesTotal = 80, Source = "coordinator" });
            await half.PassAsync();
        });
        var status = await cluster.StatusAsync(status => status.Shards is [{ Fraction: 0.5 }], "half is loaded");
        Assert.Equal((ClusterPhase.Loading, "loading the model: worker0 50 %"), (status.Phase, status.Reason));
        Assert.Equal(("worker0", "coordinator", 80L), (status.Shards[0].WorkerName, status.Shards[0].Source, status.Shards[0].BytesTotal));
        half.Go();
    }

    [Fact]
    public async Task Workers_are_told_all_they_need_to_load()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        var assigned = cluster.Workers.Select(worker => worker.Assigned.Single()).ToList();
        Assert.All(assigned, request =>
        {
            Assert.Equal(TestCluster.Options.ModelPath, request.ModelPath);
            Assert.Equal((512u, 512u), (request.MaxStepRows, request.MaxSequenceLength));
            Assert.Equal((KvType.F16, ActivationType.F32), (request.KvType, request.ActivationType));
            Assert.Equal(2048u, request.KvBlockCount);   // 64 sequences of 512 positions
            Assert.InRange(request.StepTimeoutMilliseconds, 1u, 60_000u);
        });
        Assert.Equal(cluster.Workers.Select(worker => worker.Id.Value), assigned.Select(request => request.WorkerId));
    }

    [Fact]
    public async Task Workers_get_layers_by_name_not_as_they_come()
    {
        await using var cluster = await TestCluster.StartAsync();
        await cluster.JoinAsync(name: "b");
        await cluster.JoinAsync(name: "a");
        await cluster.ReadyAsync();

        Assert.Equal(["a", "b"], cluster.Host.Status.Value.Shards.Select(shard => shard.WorkerName));
    }

    [Fact]
    public async Task A_step_that_failed_costs_the_view_but_not_the_workers()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        cluster.Workers[0].OnStep = (_, _) => FakeWorker.Send();
        cluster.Workers[1].OnStep = (plan, _) => FakeWorker.Send(FakeStage.Failed(plan, StepFailed.Types.Reason.Internal, "not finite"));
        var failed = Assert.IsType<SequenceEvent.Failed>((await cluster.GenerateAsync(TestCluster.Request(Prompt)).Soon())[^1]);
        Assert.Contains("not finite", failed.Message);
        cluster.Workers[0].OnStep = cluster.Workers[1].OnStep = (_, usual) => FakeWorker.Send(usual);
        var ready = await cluster.ReadyAsync(afterView: 1);
        Assert.Equal(cluster.Workers.Select(worker => worker.Id), ready.Shards.Select(shard => shard.Worker));
        Assert.Equal(FakeModel.Continue(Prompt, 10), await cluster.TokensAsync(TestCluster.Request(Prompt)));
    }

    [Fact]
    public async Task A_worker_that_cannot_load_is_named_and_asked_again()
    {
        await using var cluster = await TestCluster.StartAsync(TestCluster.Options with { MinWorkers = 2 });
        var broken = await cluster.JoinAsync(worker =>
            worker.OnAssign = (_, _, _) => throw new RpcException(new Status(StatusCode.ResourceExhausted, "needs 9 GB, has 1")));
        await cluster.JoinAsync();
        var status = await cluster.StatusAsync(status => status.Reason.Contains("needs 9 GB, has 1"), "the failure is told");
        Assert.Contains($"worker worker0 ({broken.Address.ToString().TrimEnd('/')}) failed: ResourceExhausted", status.Reason);
        broken.OnAssign = null;
        await cluster.ReadyAsync();
    }

    [Theory]
    [InlineData("digest")]
    [InlineData("view")]
    [InlineData("blocks")]
    [InlineData("end")]
    public async Task A_worker_that_loaded_something_else_is_not_used(string what)
    {
        await using var cluster = await TestCluster.StartAsync(TestCluster.Options with { Workers = 1 });
        await cluster.JoinAsync(worker => worker.OnAssign = (request, responses, _) => what == "end"
            ? Task.CompletedTask
            : responses.WriteAsync(new LoadProgress
            {
                ViewVersion = what == "view" ? 99 : request.Plan.ViewVersion,
                ModelDigest = what == "digest" ? "something" : request.Plan.ModelDigest,
                KvBlockCount = what == "blocks" ? 0u : 1u,
                Phase = Phase.Ready,
            }));
        await cluster.StatusAsync(status => status.Reason.Contains("worker worker0 (") && status.Reason.Contains(" failed: it "), "the worker is refused");
    }

    [Fact]
    public async Task A_worker_that_goes_silent_while_loading_is_lost()
    {
        await using var cluster = await TestCluster.StartAsync(TestCluster.Options with
        {
            Workers = 1,
            Deadlines = TestCluster.Options.Deadlines with { LoadSilence = TimeSpan.FromMilliseconds(300) },
        });
        await cluster.JoinAsync(worker => worker.OnAssign = (_, _, cancellation) => new TaskCompletionSource().Task.WaitAsync(cancellation));
        await cluster.StatusAsync(status => status.Reason.Contains("was lost: no news of its loading for 0.3 s"), "it is held for lost");
    }

    [Fact]
    public async Task A_worker_that_dies_while_loading_ends_the_attempt()
    {
        await using var cluster = await TestCluster.StartAsync();
        var loading = new SyncPoint();
        var dying = await cluster.JoinAsync(worker => worker.OnAssign = (_, _, _) => loading.PassAsync());
        await cluster.JoinAsync();
        await loading.Reached;
        await dying.DieAsync();
        loading.Go();
        await cluster.StatusAsync(status => status.Reason.Contains("worker worker0 (") && status.Reason.Contains("was lost"), "it is held for lost");
        await cluster.JoinAsync();
        await cluster.ReadyAsync();
    }

    [Fact]
    public async Task Views_of_a_coordinator_that_starts_again_are_above_those_before()
    {
        using var folder = new TempFolder();
        var options = TestCluster.Options with { Workers = 1, DataFolder = folder.Path };
        ulong first;
        await using (var cluster = await TestCluster.StartReadyAsync(1, options)) first = cluster.Host.Status.Value.ViewVersion;
        await using var again = await TestCluster.StartReadyAsync(1, options);
        Assert.Equal((ClusterOwnership.ViewsPerEpoch + 1, 2 * ClusterOwnership.ViewsPerEpoch + 1), (first, again.Host.Status.Value.ViewVersion));
        Assert.Equal(2ul, again.Workers[0].Assigned.Last().Epoch);
    }

    [Fact]
    public async Task Stopping_lets_what_runs_finish()
    {
        var cluster = await TestCluster.StartReadyAsync(
            1, TestCluster.Options with { Deadlines = TestCluster.Options.Deadlines with { Shutdown = WaitExtensions.Deadline } });
        var middle = cluster.Workers[0].HoldSteps();
        var running = cluster.TokensAsync(TestCluster.Request(Prompt, 30));
        await middle.Reached;
        var stopping = cluster.DisposeAsync();
        middle.Go();
        Assert.Equal(FakeModel.Continue(Prompt, 30), await running);
        await stopping;
    }

    [Fact]
    public async Task Stopping_ends_what_does_not_finish()
    {
        var cluster = await TestCluster.StartReadyAsync(1, TestCluster.Options with
        {
            Deadlines = TestCluster.Options.Deadlines with { Shutdown = TimeSpan.FromMilliseconds(50) },
        });
        var stuck = new SyncPoint();
        cluster.Workers[0].OnStep = async (_, _) =>
        {
            await stuck.PassAsync();
            return [];
        };
        var running = cluster.GenerateAsync(TestCluster.Request(Prompt));
        await stuck.Reached;
        var stopping = cluster.DisposeAsync();
        Assert.Contains("the coordinator is stopping", Assert.IsType<SequenceEvent.Failed>((await running.Soon())[^1]).Message);
        stuck.Go();
        await stopping;
    }
}
