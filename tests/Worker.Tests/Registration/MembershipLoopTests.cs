using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.Tests.Fakes;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Registration;

/// <summary>A worker that runs, and a coordinator that comes, goes and refuses.</summary>
public class MembershipLoopTests(ModelFile file) : IClassFixture<ModelFile>
{
    [Fact]
    public async Task Register_ANewWorker_SaysWhatItIs()
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        await using var worker = await RunningWorker.StartAsync(
            coordinator, options => options with { Name = "tester", MemoryBytes = 12345, ModelPath = file.Path });
        var request = await RegistrationAsync(coordinator);
        Assert.Equal((ProtocolVersion.Current, "tester", PeerAddress.Format(worker.Address)), (request.ProtocolVersion, request.Name, request.Address));
        Assert.Equal((12345UL, 1u, "fake"), (request.Capabilities.MemoryBytes, request.Capabilities.Threads, request.Capabilities.InstructionSet));
        Assert.Contains("Q8_0", request.Capabilities.TensorTypes);
        Assert.Equal((file.Digest, null, PeerKey.Length), (request.ModelDigest, request.HeldShard, request.Key.Length));
    }

    [Fact]
    public async Task Heartbeats_ComeNumberedWithTheIdGiven()
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        await using var worker = await RunningWorker.StartAsync(coordinator);
        for (ulong number = 1; number <= 3; number++)
        {
            var beat = await BeatAsync(coordinator);
            Assert.Equal(("w1", number, Wire.WorkerState.Idle, 0UL), (beat.WorkerId, beat.SequenceNumber, beat.State, beat.ResidentBytes));
        }
    }

    [Fact]
    public async Task Heartbeats_OfALoadedWorker_SaySo()
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        await using var worker = await RunningWorker.StartAsync(coordinator);
        await worker.AssignAsync(file, view: 8);
        Wire.HeartbeatRequest beat;
        do beat = await BeatAsync(coordinator);
        while (beat.State != Wire.WorkerState.Ready);
        Assert.Equal(8UL, beat.ViewVersion);
        Assert.NotEqual(0UL, beat.ResidentBytes);
    }

    [Fact]
    public async Task Heartbeats_OfAStateThatChanges_DoNotWaitForTheInterval()
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        (coordinator.Membership.HeartbeatInterval, coordinator.Membership.HeartbeatTimeout) = (TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(10));
        await using var worker = await RunningWorker.StartAsync(coordinator);
        Assert.Equal(Wire.WorkerState.Idle, (await BeatAsync(coordinator)).State);
        for (var view = 8UL; view < 10; view++)
        {
            await worker.AssignAsync(file, view);
            Wire.HeartbeatRequest beat;
            do beat = await BeatAsync(coordinator);
            while (beat.State != Wire.WorkerState.Ready || beat.ViewVersion != view);
        }
    }

    [Fact]
    public async Task ASpare_ThatStandsBy_IsReadyWithoutAShard_ForAsLongAsItsCoordinatorSaysSo()
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        await using var worker = await RunningWorker.StartAsync(coordinator);
        foreach (var standsBy in new[] { false, true, false })
        {
            coordinator.Membership.StandsBy = standsBy;
            // The first may have been answered before; the second shows that the answer to the one before was read.
            for (var beat = 0; beat < 3; beat++) await BeatAsync(coordinator);
            Assert.Equal(standsBy, worker.IsReady);
        }
        await worker.AssignAsync(file, view: 8);
        Assert.True(worker.IsReady);
    }

    [Fact]
    public async Task ASpare_ThatLosesItsCoordinator_IsNotReady()
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        await using var worker = await RunningWorker.StartAsync(coordinator);
        coordinator.Membership.StandsBy = true;
        for (var beat = 0; beat < 3; beat++) await BeatAsync(coordinator);
        Assert.True(worker.IsReady);
        coordinator.Membership.StandsBy = false;
        coordinator.Membership.OnRegister = _ => Assert.False(worker.IsReady, "its stream has ended");
        coordinator.Membership.OnHeartbeat = beat => beat.SequenceNumber == 1 ? true : throw new RpcException(new Status(StatusCode.Unavailable, "gone"));
        await RegistrationAsync(coordinator);
        await RegistrationAsync(coordinator);
        Assert.False(worker.IsReady);
    }

    [Fact]
    public async Task Coordinator_GoesAndComesBack_FindsTheWorkerWithItsShard()
    {
        var (worker, port) = await LoadedAndAloneAsync();
        await using var end = worker;

        await using var again = await FakeCoordinator.StartAsync(port: port);

        var request = await Deadline.Within(
            again.Membership.Registrations.Reader.ReadAsync().AsTask(), "a registration", () => $"; the worker's log: {worker.Log}");
        Assert.Equal((file.Digest, 6u), (request.ModelDigest, request.HeldShard.LayerCount));
        await BeatAsync(again);
        Assert.Equal(1, worker.Model.LiveWeights);
    }

    [Fact]
    public async Task Coordinator_ThatForgotTheWorker_GetsANewRegistration()
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        coordinator.Membership.OnHeartbeat = beat =>
            beat is not { WorkerId: "w1", SequenceNumber: 3 } ? true : throw new RpcException(new Status(StatusCode.NotFound, "register again"));
        await using var worker = await RunningWorker.StartAsync(coordinator);
        await RegistrationAsync(coordinator);
        await RegistrationAsync(coordinator);
        Wire.HeartbeatRequest beat;
        do beat = await BeatAsync(coordinator);
        while (beat.WorkerId == "w1");
        Assert.Equal("w2", beat.WorkerId);
    }

    [Fact]
    public async Task Coordinator_ThatDoesNotAnswerHeartbeats_GetsANewRegistration()
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        coordinator.Membership.HeartbeatTimeout = TimeSpan.FromMilliseconds(50);
        coordinator.Membership.OnHeartbeat = beat => beat.WorkerId != "w1";
        await using var worker = await RunningWorker.StartAsync(coordinator);
        await RegistrationAsync(coordinator);
        await RegistrationAsync(coordinator);
    }

    [Fact]
    public async Task Refusal_ThatMayPass_IsTriedAgain()
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        var refusals = 0;
        coordinator.Membership.OnRegister = _ =>
        {
            if (refusals++ < 2) throw new RpcException(new Status(StatusCode.ResourceExhausted, "full"));
        };
        await using var worker = await RunningWorker.StartAsync(coordinator);
        Assert.Equal("w1", (await BeatAsync(coordinator)).WorkerId);
        Assert.Equal(3, refusals);
    }

    [Fact]
    public async Task Refusal_OfTheVersion_IsLoggedAndTriedAgainAfterAPause_WithoutGivingUpTheModel()
    {
        var (worker, port) = await LoadedAndAloneAsync();
        await using var end = worker;
        var refusals = 0;
        await using var other = await FakeCoordinator.StartAsync(port: port);
        other.Membership.OnRegister = _ =>
        {
            if (refusals++ < 2) throw new RpcException(new Status(StatusCode.Unimplemented, "the coordinator speaks protocol version 3, the worker 2"));
        };
        Assert.Equal(Wire.WorkerState.Ready, (await BeatAsync(other)).State);
        Assert.Equal(1, worker.Model.LiveWeights);
        Assert.Equal(2, worker.Log.Lines.Count(line => line.Contains("the coordinator speaks protocol version 3, the worker 2; trying again in ")));
    }

    [Fact]
    public async Task Refusal_OfTheModel_EndsTheWorkerWithOneLine()
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        coordinator.Membership.OnRegister = _ => throw new RpcException(new Status(StatusCode.FailedPrecondition, "another model is served here"));
        await using var worker = await RunningWorker.StartAsync(coordinator, options => options with { ModelPath = file.Path });
        Assert.Equal(1, await worker.ExitAsync());
        var line = Assert.Single(worker.Log.Lines, line => line.Contains("cannot go on"));
        Assert.Contains("another model is served here", line);
        Assert.DoesNotContain('\n', line);
    }

    [Fact]
    public async Task Refusal_OfAModelThatWasOnlyHeld_GivesItUpAndStays()
    {
        var (worker, port) = await LoadedAndAloneAsync();
        await using var end = worker;

        await using var other = await FakeCoordinator.StartAsync(port: port);
        other.Membership.OnRegister = request =>
        {
            if (request.ModelDigest.Length > 0) throw new RpcException(new Status(StatusCode.FailedPrecondition, "another model is served here"));
        };

        Assert.Equal(Wire.WorkerState.Idle, (await BeatAsync(other)).State);
        Assert.Equal((0, 0), (worker.Model.LiveWeights, worker.Model.LiveStages));
    }

    [Fact]
    public async Task Refusal_OfAModelThatCannotBeGivenUpNow_IsTriedAgain()
    {
        var (worker, port) = await LoadedAndAloneAsync();
        await using var end = worker;
        var failures = 0;
        worker.Model.OnForget = () =>
        {
            if (failures++ == 0) throw new TimeoutException("a step still runs");
        };

        await using var other = await FakeCoordinator.StartAsync(port: port);
        other.Membership.OnRegister = request =>
        {
            if (request.ModelDigest.Length > 0) throw new RpcException(new Status(StatusCode.FailedPrecondition, "another model is served here"));
        };

        Assert.Equal(Wire.WorkerState.Idle, (await BeatAsync(other)).State);
        Assert.Contains(worker.Log.Lines, line => line.Contains("a step still runs; trying again in "));
    }

    [Fact]
    public async Task Coordinator_ThatIsGoneForTooLong_CostsTheModelButNotTheWorker()
    {
        var (worker, port) = await LoadedAndAloneAsync(options => options with { OrphanTimeout = TimeSpan.FromMilliseconds(100) });
        await using var end = worker;
        await Deadline.Within(worker.Log.LineAsync("no coordinator for 0.1 s (--orphan-timeout)"), "the worker to give up the model");
        await using var next = await FakeCoordinator.StartAsync(port: port);
        Assert.Equal(Wire.WorkerState.Idle, (await BeatAsync(next)).State);
        Assert.Equal("", (await RegistrationAsync(next)).ModelDigest);
    }

    [Fact]
    public async Task Stop_OfARegisteredWorker_DrainsFirst()
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        var letGo = new TaskCompletionSource();
        coordinator.Membership.OnDrain = _ => letGo.Task;
        await using var worker = await RunningWorker.StartAsync(coordinator);
        await BeatAsync(coordinator);

        worker.Stop();

        Assert.Equal("w1", (await Deadline.Within(coordinator.Membership.Drains.Reader.ReadAsync().AsTask(), "the drain")).WorkerId);
        while ((await BeatAsync(coordinator)).State != Wire.WorkerState.Draining) { }
        Assert.False(worker.HasExited);
        letGo.SetResult();
        Assert.True(await worker.ExitAsync() == 0, worker.Log.ToString());
    }

    [Fact]
    public async Task Stop_TheCoordinatorDoesNotLetGo_LeavesAfterTheTimeout()
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        coordinator.Membership.OnDrain = cancellation => new TaskCompletionSource().Task.WaitAsync(cancellation);
        await using var worker = await RunningWorker.StartAsync(coordinator, options => options with { DrainTimeout = TimeSpan.FromMilliseconds(100) });
        await BeatAsync(coordinator);
        worker.Stop();
        Assert.True(await worker.ExitAsync() == 0, worker.Log.ToString());
    }

    [Fact]
    public async Task Stop_WithoutACoordinator_Leaves()
    {
        var coordinator = await FakeCoordinator.StartAsync();
        await using var worker = await RunningWorker.StartAsync(coordinator);
        await BeatAsync(coordinator);
        await coordinator.DisposeAsync();
        worker.Stop();
        Assert.True(await worker.ExitAsync() == 0, worker.Log.ToString());
    }

    /// <summary>A worker with a shard of view 8, whose coordinator was at this port and is gone.</summary>
    async Task<(RunningWorker Worker, int Port)> LoadedAndAloneAsync(Func<WorkerOptions, WorkerOptions>? change = null)
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        var worker = await RunningWorker.StartAsync(coordinator, change);
        await BeatAsync(coordinator);
        await worker.AssignAsync(file, view: 8);
        return (worker, coordinator.Address.Port);
    }

    static Task<Wire.RegisterRequest> RegistrationAsync(FakeCoordinator coordinator) =>
        Deadline.Within(coordinator.Membership.Registrations.Reader.ReadAsync().AsTask(), "a registration");

    static Task<Wire.HeartbeatRequest> BeatAsync(FakeCoordinator coordinator) =>
        Deadline.Within(coordinator.Membership.Heartbeats.Reader.ReadAsync().AsTask(), "a heartbeat");
}
