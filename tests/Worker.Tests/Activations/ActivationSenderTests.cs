using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.Peers;
using LlamaCluster.Worker.Tests.Fakes;
using Microsoft.Extensions.Logging.Abstractions;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Activations;

public sealed class ActivationSenderTests : IAsyncLifetime
{
    readonly TaskCompletionSource<(ulong StepId, string Problem)> _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    FakeReceiver _receiver = null!;
    ActivationSender _sender = null!;

    public async Task InitializeAsync() => _receiver = await FakeReceiver.StartAsync();

    public async Task DisposeAsync()
    {
        await _sender.DisposeAsync();
        await _receiver.DisposeAsync();
    }

    [Fact]
    public async Task Post_ManySteps_SendsThemAllInOrder()
    {
        await ConnectAsync(TimeSpan.FromSeconds(20));
        var last = new TaskCompletionSource();
        var received = new List<(ulong, float)>();
        _receiver.OnFrame = frame =>
        {
            received.Add((frame.StepId, BitConverter.ToSingle(frame.Payload.Span)));
            if (frame.StepId == 100) last.SetResult();
            return new Wire.ActivationAck { StepId = frame.StepId };
        };
        for (ulong step = 1; step <= 100; step++) Assert.Null(_sender.Post(step, 1, [step, 0]));
        await Deadline.Within(last.Task, "the last step");
        Assert.Equal(Enumerable.Range(1, 100).Select(step => ((ulong)step, (float)step)), received);
    }

    [Fact]
    public async Task Post_NoStepIsAcknowledged_FailsAtTheDeadline()
    {
        _receiver.OnFrame = _ => null;
        await ConnectAsync(TimeSpan.FromSeconds(2));
        for (ulong step = 1; step <= 3; step++) Assert.Null(_sender.Post(step, 1, [1, 2]));
        var (stepId, problem) = await Deadline.Within(_failed.Task, "the failure");
        Assert.Equal(1UL, stepId);
        Assert.Contains("no step acknowledged for 2 s", problem);
        Assert.Equal(problem, _sender.Post(4, 1, [1, 2]));
    }

    [Fact]
    public async Task Post_AStepThatIsRefused_FailsWithTheReason()
    {
        _receiver.OnFrame = frame => new Wire.ActivationAck { StepId = frame.StepId, Refusal = "view 9 is over" };
        await ConnectAsync(TimeSpan.FromSeconds(20));
        Assert.Null(_sender.Post(7, 1, [1, 2]));
        var (stepId, problem) = await Deadline.Within(_failed.Task, "the failure");
        Assert.Equal((7UL, true), (stepId, problem.EndsWith("step 7 refused: view 9 is over", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Post_TheStreamBreaks_Fails()
    {
        _receiver.OnFrame = _ => throw new RpcException(new Status(StatusCode.Internal, "out of order"));
        await ConnectAsync(TimeSpan.FromSeconds(20));
        Assert.Null(_sender.Post(7, 1, [1, 2]));
        Assert.Contains("out of order", (await Deadline.Within(_failed.Task, "the failure")).Problem);
    }

    [Fact]
    public async Task Close_WithBuffersUnderWay_LetsThePosterGo()
    {
        _receiver.OnFrame = _ => null;
        await ConnectAsync(TimeSpan.FromSeconds(20));
        var posting = Task.Factory.StartNew(() =>
        {
            ulong step = 0;
            string? problem;
            do problem = _sender.Post(++step, 1, [1, 2]);
            while (problem is null);
            return problem;
        }, TaskCreationOptions.LongRunning);
        _sender.Close();
        Assert.Contains("is closed", await Deadline.Within(posting, "the poster"));
        Assert.False(_failed.Task.IsCompleted);
    }

    [Theory]
    [InlineData(PeerLinkPreference.Tcp, "--peer-link is tcp")]
    [InlineData(PeerLinkPreference.Shm, "--peer-link is shm")]
    public async Task ConnectAsync_ToWhoKnowsOfNoDirectConnections_FailsWhereThereMustBeOne(PeerLinkPreference link, string expected)
    {
        var failure = await Assert.ThrowsAsync<PeerLinkException>(() => ConnectAsync(TimeSpan.FromSeconds(20), link));
        Assert.Matches($"^{expected}, but there is no direct connection to stage 1 .*: it knows of none$", failure.Message);
    }

    async Task ConnectAsync(TimeSpan timeout, PeerLinkPreference link = PeerLinkPreference.Auto)
    {
        var caller = new StageCaller(new WorkerOptions { Coordinator = _receiver.Address, PeerLink = link }, NullLogger<StageCaller>.Instance);
        _sender = new ActivationSender(new PeerChannels(), _receiver.Address, Frames.Shape, TestKeys.View, timeout, caller);
        _sender.Failed += (stepId, problem) => _failed.SetResult((stepId, problem));
        await _sender.ConnectAsync(CancellationToken.None);
    }
}
