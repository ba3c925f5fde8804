using Grpc.Core;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Protos;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Supervision;

/// <summary>Workers are lost, slow, leave or come, and what runs goes on with others.</summary>
public sealed class TakeoverTests
{
    static readonly int[] Prompt = [5, 6, 7];

    [Fact]
    public async Task A_worker_lost_in_the_middle_is_named_and_its_requests_go_on_when_another_takes_its_place()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2, TestCluster.Options with { MinWorkers = 2 });
        var middle = new SyncPoint();
        var steps = 0;
        cluster.Workers[1].OnStep = async (_, usual) =>
        {
            if (Interlocked.Increment(ref steps) > 3) await middle.PassAsync();
            return [usual];
        };
        var running = Enumerable.Range(0, 3).Select(i => cluster.TokensAsync(TestCluster.Request([5 + i], 100))).ToList();
        await middle.Reached;
        await cluster.Workers[1].DieAsync();
        middle.Go();

        var waiting = await cluster.StatusAsync(status => status.Reason.Contains("1 of 2"), "it waits for another worker");
        Assert.Contains($"worker worker1 ({cluster.Workers[1].Address.ToString().TrimEnd('/')}) was lost", waiting.Reason);
        Assert.Equal((false, true), (cluster.Engine.Status.Ready, cluster.Engine.Status.IsRecovering));
        var meanwhile = cluster.TokensAsync(TestCluster.Request(Prompt));

        await cluster.JoinAsync();
        Assert.Equal(2ul, (await cluster.ReadyAsync(afterView: 1)).ViewVersion);
        for (var i = 0; i < running.Count; i++) Assert.Equal(FakeModel.Continue([5 + i], 100), await running[i]);
        Assert.Equal(FakeModel.Continue(Prompt, 10), await meanwhile);
    }

    [Fact]
    public async Task A_spare_worker_takes_over_at_once()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        var spare = await cluster.JoinAsync();
        await cluster.Workers[0].DieAsync();
        var ready = await cluster.ReadyAsync(afterView: 1);
        Assert.Equal([spare.Id, cluster.Workers[1].Id], ready.Shards.Select(shard => shard.Worker));
        Assert.Equal(FakeModel.Continue(Prompt, 10), await cluster.TokensAsync(TestCluster.Request(Prompt)));
    }

    [Fact]
    public async Task Those_that_are_left_take_over_and_the_view_grows_again_when_another_comes()
    {
        await using var cluster = await TestCluster.StartReadyAsync(3);
        var middle = cluster.Workers[1].HoldSteps();
        var running = cluster.TokensAsync(TestCluster.Request(Prompt, 100));
        await middle.Reached;
        await cluster.Workers[1].DieAsync();
        middle.Go();
        Assert.Equal(FakeModel.Continue(Prompt, 100), await running);
        var reduced = await cluster.ReadyAsync(afterView: 1);
        Assert.Equal([cluster.Workers[0].Id, cluster.Workers[2].Id], reduced.Shards.Select(shard => shard.Worker));
        Assert.Equal(new WorkerCounts(3, 2, 0, 0, 0), cluster.Engine.Status.Workers);

        var another = await cluster.JoinAsync();
        var grown = await cluster.ReadyAsync(afterView: reduced.ViewVersion);
        Assert.Equal(3, grown.Shards.Length);
        Assert.True(another.Prepared.IsCompleted);   // before the view gave way to the larger one
        Assert.Equal(FakeModel.Continue(Prompt, 10), await cluster.TokensAsync(TestCluster.Request(Prompt)));
    }

    [Fact]
    public async Task Fewer_workers_serve_once_the_others_have_been_waited_for()
    {
        await using var cluster = await TestCluster.StartAsync(TestCluster.Options with
        {
            Workers = 4,
            MinWorkers = 2,
            Deadlines = TestCluster.Options.Deadlines with { WaitForWorkers = TimeSpan.FromMilliseconds(50) },
        });
        await cluster.JoinAsync();
        await cluster.StatusAsync(status => status.Reason.Contains("1 of 4"), "one is too few");
        await cluster.JoinAsync();
        Assert.Equal(2, (await cluster.ReadyAsync()).Shards.Length);
        Assert.Equal(new WorkerCounts(4, 2, 0, 0, 0), cluster.Engine.Status.Workers);
    }

    [Fact]
    public async Task A_spare_has_loaded_what_it_may_need_and_takes_the_very_place_of_the_worker_that_is_lost()
    {
        await using var cluster = await TestCluster.StartReadyAsync(4, TestCluster.Options with { TensorParallel = 2 });
        var spare = await cluster.JoinAsync();
        await spare.Prepared.Soon("the spare is prepared");
        Assert.Equal(new WorkerCounts(4, 4, 1, 0, 0), cluster.Engine.Status.Workers);
        var before = cluster.Host.Status.Value.Shards;
        await cluster.Workers[2].DieAsync();
        var after = (await cluster.ReadyAsync(afterView: 1)).Shards;
        Assert.Equal(
            before.Select(shard => (shard.Shard, Worker: shard.Worker == cluster.Workers[2].Id ? spare.Id : shard.Worker)),
            after.Select(shard => (shard.Shard, shard.Worker)));
    }

    [Fact]
    public async Task A_spare_is_told_that_it_stands_by_until_it_serves_and_a_worker_that_serves_is_not()
    {
        await using var cluster = await TestCluster.StartReadyAsync(1);
        var spare = await cluster.JoinAsync();
        await spare.StandsBy.WaitAsync(told => told, CancellationToken.None).Soon("the spare is told");
        Assert.True(spare.Prepared.IsCompleted);
        Assert.False(cluster.Workers[0].StandsBy.Value);
        await cluster.Workers[0].DieAsync();
        Assert.Equal([spare.Id], (await cluster.ReadyAsync(afterView: 1)).Shards.Select(shard => shard.Worker));
        await spare.StandsBy.WaitAsync(told => !told, CancellationToken.None).Soon("it serves");
    }

    [Fact]
    public async Task A_silent_worker_is_replaced_keeps_running_and_is_spare_when_it_is_heard_again()
    {
        await using var cluster = await TestCluster.StartReadyAsync(1, TestCluster.Options with
        {
            Deadlines = TestCluster.Options.Deadlines with { Suspicion = TimeSpan.FromSeconds(2) },
        });
        var spare = await cluster.JoinAsync();
        var held = cluster.Workers[0].HoldSteps();
        var running = cluster.TokensAsync(TestCluster.Request(Prompt, 30));
        await held.Reached;
        var silence = cluster.Workers[0].FallSilent();
        Assert.Equal([spare.Id], (await cluster.ReadyAsync(afterView: 1)).Shards.Select(shard => shard.Worker));
        Assert.Equal(FakeModel.Continue(Prompt, 30), await running);
        silence.Go();
        held.Go();
        await cluster.MembersAsync(2);
        await cluster.StatusAsync(status => status.Workers is { Spare: 1, Suspected: 0 }, "it is spare");
        Assert.Equal(spare.Id, Assert.Single(cluster.Host.Status.Value.Shards).Worker);
    }

    [Fact]
    public async Task A_worker_that_fails_again_and_again_with_its_shard_is_set_aside_where_others_can_do_without_it()
    {
        await using var cluster = await TestCluster.StartAsync();
        await cluster.JoinAsync(worker => worker.OnAssign = (_, _, _) => throw new RpcException(new Status(StatusCode.ResourceExhausted, "needs 9 GB, has 1")));
        await cluster.JoinAsync();
        Assert.Equal([cluster.Workers[1].Id], (await cluster.ReadyAsync()).Shards.Select(shard => shard.Worker));
        Assert.Equal(new WorkerCounts(2, 1, 0, 0, 1), cluster.Engine.Status.Workers);
    }

    [Fact]
    public async Task A_worker_that_wants_to_leave_may_at_once_where_another_takes_over()
    {
        await using var cluster = await TestCluster.StartReadyAsync(1);
        var middle = cluster.Workers[0].HoldSteps();
        var running = cluster.TokensAsync(TestCluster.Request(Prompt, 30));
        await middle.Reached;
        var spare = await cluster.JoinAsync();
        await DrainAsync(cluster, cluster.Workers[0]).Soon("it may leave while its step is under way");
        Assert.Equal([spare.Id], (await cluster.ReadyAsync(afterView: 1)).Shards.Select(shard => shard.Worker));
        Assert.Equal(FakeModel.Continue(Prompt, 30), await running);
        middle.Go();
    }

    [Fact]
    public async Task Who_takes_over_is_told_to_fetch_KV_from_the_worker_that_leaves_which_may_go_then()
    {
        await using var cluster = await TestCluster.StartReadyAsync(1);
        var (middle, loading) = (new SyncPoint(), new SyncPoint());
        var steps = 0;
        cluster.Workers[0].OnStep = async (_, usual) =>
        {
            if (Interlocked.Increment(ref steps) > 3) await middle.PassAsync();
            return [usual];
        };
        int[] prompt = [.. Enumerable.Range(5, 40)];
        var running = cluster.TokensAsync(TestCluster.Request(prompt, 30));
        await middle.Reached;
        var spare = await cluster.JoinAsync();
        spare.OnAssign = async (_, _, _) =>
        {
            await loading.PassAsync();
            spare.OnAssign = null;
            throw new RpcException(new Status(StatusCode.Aborted, "it has to be tried again"));
        };
        var leaving = DrainAsync(cluster, cluster.Workers[0]);
        await loading.Reached;
        Assert.False(leaving.IsCompleted);
        loading.Go();
        await leaving.Soon("it may leave when another serves");
        Assert.Equal(FakeModel.Continue(prompt, 30), await running);
        Assert.Equal(2, spare.Assigned.Count);
        Assert.All(spare.Assigned, assigned =>
        {
            var source = Assert.Single(assigned.KvSources);
            Assert.Equal((cluster.Workers[0].Id.Value, 0u, (uint)assigned.Plan.LayerCount), (source.WorkerId, source.FirstLayer, source.LayerCount));
            Assert.Equal((2u, 2), (assigned.KvBlocksAwaited, assigned.KvBlocks.Count));
            Assert.InRange(assigned.KvFetchMilliseconds, 1u, 60_000u);
        });
        middle.Go();
    }

    [Fact]
    public async Task A_worker_that_nobody_can_take_over_from_may_leave_when_what_runs_has_finished()
    {
        await using var cluster = await TestCluster.StartReadyAsync(1);
        var middle = cluster.Workers[0].HoldSteps();
        var running = cluster.TokensAsync(TestCluster.Request(Prompt, 30));
        await middle.Reached;
        var leaving = DrainAsync(cluster, cluster.Workers[0]);
        await cluster.StatusAsync(status => status.Phase == ClusterPhase.Draining && status.Reason.Contains("worker0"), "it drains");
        Assert.False(leaving.IsCompleted);
        middle.Go();
        Assert.Equal(FakeModel.Continue(Prompt, 30), await running);
        await leaving.Soon();
    }

    [Fact]
    public async Task Who_does_not_finish_in_time_is_cut_off_when_a_worker_leaves_and_nobody_takes_over()
    {
        await using var cluster = await TestCluster.StartReadyAsync(1, TestCluster.Options with
        {
            Deadlines = TestCluster.Options.Deadlines with { Drain = TimeSpan.FromMilliseconds(50), Recovery = TimeSpan.FromMilliseconds(50) },
        });
        var stuck = cluster.Workers[0].HoldSteps();
        var running = cluster.GenerateAsync(TestCluster.Request(Prompt));
        await stuck.Reached;
        await DrainAsync(cluster, cluster.Workers[0]).Soon();
        Assert.Contains("is leaving", Assert.IsType<SequenceEvent.Failed>((await running.Soon())[^1]).Message);
        stuck.Go();
    }

    static Task DrainAsync(TestCluster cluster, FakeWorker worker) =>
        new Protos.Membership.MembershipClient(cluster.Channel).DrainAsync(new DrainRequest { WorkerId = worker.Id.Value }, worker.Headers).ResponseAsync;
}
