using Grpc.Core;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Tests.Fakes;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Registration;

/// <summary>A worker whose heartbeats are answered late, or not at all. Its clock stands still until a test moves it.</summary>
public class LateAnswersTests(ModelFile file) : IClassFixture<ModelFile>
{
    readonly ManualTimeProvider _time = new();
    readonly TaskCompletionSource _answers = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>A coordinator of a thousand workers whose processors are all busy.</summary>
    [Fact]
    public async Task A_worker_that_hears_steps_stays_although_its_heartbeat_is_answered_late()
    {
        await using var coordinator = await StartCoordinatorAsync();
        await using var worker = await StartWorkerAsync(coordinator);
        await worker.AssignAsync(file, view: 8);
        using var steps = await worker.OpenStepsAsync(file, view: 8);
        for (ulong step = 1; step <= 20; step++)
        {
            _time.Advance(TimeSpan.FromSeconds(5));
            await HearAsync(steps, step);
        }
        _answers.SetResult();
        var beat = await BeatAsync(coordinator);
        Assert.Equal(("w1", 2ul), (beat.WorkerId, beat.SequenceNumber));
        Assert.False(coordinator.Membership.Registrations.Reader.TryRead(out _));
        Assert.DoesNotContain(worker.Log.Lines, line => line.Contains("Not registered"));
    }

    [Fact]
    public async Task A_worker_that_hears_nothing_registers_again_after_the_timeout()
    {
        await using var coordinator = await StartCoordinatorAsync();
        await using var worker = await StartWorkerAsync(coordinator);
        _time.Advance(coordinator.Membership.HeartbeatTimeout);
        await RegistersAgainAsync(worker, coordinator, "nothing was heard of it for 8 s");
    }

    [Fact]
    public async Task A_worker_whose_stream_breaks_registers_again_at_once_also_while_it_hears_steps()
    {
        await using var coordinator = await StartCoordinatorAsync();
        await using var worker = await StartWorkerAsync(coordinator);
        await worker.AssignAsync(file, view: 8);
        using var steps = await worker.OpenStepsAsync(file, view: 8);
        await HearAsync(steps, 1);
        _answers.SetException(new RpcException(new Status(StatusCode.Unavailable, "the stream is broken")));
        await RegistersAgainAsync(worker, coordinator, "the stream is broken");
    }

    /// <summary>Its stream of steps goes on for as long as nobody ends the view.</summary>
    [Fact]
    public async Task Steps_of_the_coordinator_before_are_no_signs_of_the_present_one()
    {
        await using var coordinator = await StartCoordinatorAsync();
        await using var worker = await StartWorkerAsync(coordinator);
        await worker.AssignAsync(file, view: 8);
        using var steps = await worker.OpenStepsAsync(file, view: 8);
        (coordinator.Membership.Epoch, coordinator.Membership.Answers) = (1, new TaskCompletionSource().Task);
        _answers.SetException(new RpcException(new Status(StatusCode.Unavailable, "replaced by the next")));
        await RegistersAgainAsync(worker, coordinator, "replaced by the next");
        Assert.Equal("w2", (await BeatAsync(coordinator)).WorkerId);
        await WaitsForAnswerAsync();
        _time.Advance(TimeSpan.FromSeconds(5));
        await HearAsync(steps, 1);
        _time.Advance(TimeSpan.FromSeconds(3));
        await RegistersAgainAsync(worker, coordinator, "nothing was heard of it for 8 s");
    }

    async Task<FakeCoordinator> StartCoordinatorAsync()
    {
        var coordinator = await FakeCoordinator.StartAsync();
        (coordinator.Membership.HeartbeatInterval, coordinator.Membership.HeartbeatTimeout) = (TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(8));
        coordinator.Membership.Answers = _answers.Task;
        return coordinator;
    }

    /// <summary>It has registered, and waits for the answer to its first heartbeat.</summary>
    async Task<RunningWorker> StartWorkerAsync(FakeCoordinator coordinator)
    {
        var worker = await RunningWorker.StartAsync(coordinator, time: _time);
        await RegistrationAsync(coordinator);
        await BeatAsync(coordinator);
        await WaitsForAnswerAsync();
        return worker;
    }

    /// <summary>One timer is of the interval of heartbeats, the other of the wait.</summary>
    Task WaitsForAnswerAsync() => Deadline.Within(_time.TimersSetAsync(2), "the worker to wait for an answer");

    async Task RegistersAgainAsync(RunningWorker worker, FakeCoordinator coordinator, string why)
    {
        await Deadline.Within(worker.Log.LineAsync($"{why}; trying again in "), $"the worker to say that {why}");
        var pause = TimeSpan.FromSeconds(0.4);
        await Deadline.Within(_time.TimerDueWithinAsync(pause), "the pause before the next attempt");
        _time.Advance(pause);
        await RegistrationAsync(coordinator);
    }

    /// <summary>The worker hears a step, of a view that is over, and answers that it is.</summary>
    static async Task HearAsync(AsyncDuplexStreamingCall<Wire.StepRequest, Wire.StepReply> steps, ulong step)
    {
        await steps.RequestStream.WriteAsync(new Wire.StepRequest { Step = TestPipeline.FirstStep(view: 7, step, 5) });
        Assert.True(await Deadline.Within(steps.ResponseStream.MoveNext(), "an answer to a step"));
        Assert.Equal(step, steps.ResponseStream.Current.Failed.StepId);
    }

    static Task<Wire.RegisterRequest> RegistrationAsync(FakeCoordinator coordinator) =>
        Deadline.Within(coordinator.Membership.Registrations.Reader.ReadAsync().AsTask(), "a registration");

    static Task<Wire.HeartbeatRequest> BeatAsync(FakeCoordinator coordinator) =>
        Deadline.Within(coordinator.Membership.Heartbeats.Reader.ReadAsync().AsTask(), "a heartbeat");
}
