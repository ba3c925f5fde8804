using Grpc.Core;
using LlamaCluster.Worker.Tests.Fakes;
using static LlamaCluster.Protos.StepFailed.Types;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Services;

/// <summary>The handshake of the stream of steps, and how it ends.</summary>
public class StepsServiceTests(ModelFile file) : IClassFixture<ModelFile>
{
    [Fact]
    public async Task Open_BeforeAnyShard_IsStale()
    {
        await using var worker = await TestWorker.StartAsync();
        var failed = (await AnswerAsync(worker, Open(1))).Failed;
        Assert.Equal((Reason.StaleView, "view 1 is not here: no shard is loaded"), (failed.Reason, failed.Message));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(6)]
    public async Task Open_OfAnotherView_IsStale(ulong view)
    {
        await using var worker = await LoadedAsync(view: 5);
        var failed = (await AnswerAsync(worker, Open(view))).Failed;
        Assert.Equal((Reason.StaleView, 5UL), (failed.Reason, failed.ViewVersion));
    }

    [Fact]
    public async Task Open_OfAnotherModelOrWorker_IsRefused()
    {
        await using var worker = await LoadedAsync(view: 5);
        var otherModel = Open(5);
        otherModel.Open.ModelDigest = new string('0', 64);
        await RefusedAsync(worker, StatusCode.FailedPrecondition, "is of the model", otherModel);
        var otherWorker = Open(5);
        otherWorker.Open.WorkerId = "w9";
        await RefusedAsync(worker, StatusCode.FailedPrecondition, "this is worker w0, not w9", otherWorker);
        Assert.NotNull((await AnswerAsync(worker, Open(5))).Opened);
    }

    [Fact]
    public async Task Open_ASecondTime_IsRefused()
    {
        await using var worker = await LoadedAsync(view: 5);
        using var first = worker.Steps.Run(deadline: Deadline.Call);
        await first.RequestStream.WriteAsync(Open(5));
        Assert.True(await first.ResponseStream.MoveNext());
        await RefusedAsync(worker, StatusCode.FailedPrecondition, "assign a new view", Open(5));
    }

    [Fact]
    public async Task Run_WithSomethingElseFirst_IsInvalid()
    {
        await using var worker = await LoadedAsync(view: 5);
        await RefusedAsync(worker, StatusCode.InvalidArgument, "must be open", new Wire.StepRequest { Step = new Wire.StepPlan() });
        await RefusedAsync(worker, StatusCode.InvalidArgument, "must be open", new Wire.StepRequest());
    }

    [Fact]
    public async Task Run_WithASecondOpen_IsInvalid()
    {
        await using var worker = await LoadedAsync(view: 5);
        await RefusedAsync(worker, StatusCode.InvalidArgument, "must be a step, replay, ended, or moves", Open(5), Open(5));
    }

    [Fact]
    public async Task Open_NextStageUnreachable_IsPeerLost()
    {
        await using var worker = await TestWorker.StartAsync();
        await using var gone = await TestWorker.StartAsync();
        var plan = TestPipeline.PlanOf([worker, gone], file.Digest, file.Layers, 1);
        await gone.Host.DisposeAsync();
        await TestPipeline.AssignAsync(worker, plan, 0, file.Path);
        var failed = (await AnswerAsync(worker, TestPipeline.Open(plan, 0))).Failed;
        Assert.Equal(Reason.PeerLost, failed.Reason);
        Assert.Contains("cannot reach the next stage", failed.Message);
    }

    [Fact]
    public async Task Run_TheCoordinatorCompletes_EndsWithoutError()
    {
        await using var worker = await LoadedAsync(view: 5);
        using var call = worker.Steps.Run(deadline: Deadline.Call);
        await call.RequestStream.WriteAsync(Open(5));
        Assert.True(await call.ResponseStream.MoveNext());
        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext());
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
        Assert.Equal(1, worker.Model.LiveWeights);
    }

    [Fact]
    public async Task Run_ANewViewIsAssigned_EndsTheStreamOfTheOldOne()
    {
        await using var worker = await LoadedAsync(view: 5);
        using var call = worker.Steps.Run(deadline: Deadline.Call);
        await call.RequestStream.WriteAsync(Open(5));
        Assert.True(await call.ResponseStream.MoveNext());
        await AssignAsync(worker, view: 6);
        Assert.False(await call.ResponseStream.MoveNext());
        Assert.NotNull((await AnswerAsync(worker, Open(6))).Opened);
    }

    Wire.StepRequest Open(ulong view) => new() { Open = new Wire.OpenSteps { ViewVersion = view, ModelDigest = file.Digest, WorkerId = "w0" } };

    async Task<TestWorker> LoadedAsync(ulong view)
    {
        var worker = await TestWorker.StartAsync();
        await AssignAsync(worker, view);
        return worker;
    }

    Task AssignAsync(TestWorker worker, ulong view) =>
        TestPipeline.AssignAsync(worker, TestPipeline.PlanOf([worker], file.Digest, file.Layers, view), 0, file.Path);

    static async Task<Wire.StepReply> AnswerAsync(TestWorker worker, Wire.StepRequest request)
    {
        using var call = worker.Steps.Run(deadline: Deadline.Call);
        await call.RequestStream.WriteAsync(request);
        Assert.True(await call.ResponseStream.MoveNext());
        return call.ResponseStream.Current;
    }

    static async Task RefusedAsync(TestWorker worker, StatusCode code, string named, params Wire.StepRequest[] requests)
    {
        using var call = worker.Steps.Run(deadline: Deadline.Call);
        foreach (var request in requests) await call.RequestStream.WriteAsync(request);
        var e = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            while (await call.ResponseStream.MoveNext()) Assert.NotNull(call.ResponseStream.Current.Opened);
        });
        Assert.Equal(code, e.StatusCode);
        Assert.Contains(named, e.Status.Detail);
    }
}
