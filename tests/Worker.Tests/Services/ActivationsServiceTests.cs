using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster.Activations;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Peers;
using LlamaCluster.Worker.Tests.Fakes;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Services;

/// <summary>A test that plays the stage before, rightly or not.</summary>
public class ActivationsServiceTests(ModelFile file) : IClassFixture<ModelFile>, IAsyncLifetime
{
    Workers _workers = null!;
    TestPipeline _pipeline = null!;

    TestWorker Receiver => _workers[1];

    public async Task InitializeAsync()
    {
        _workers = await Workers.StartAsync(2);
        _pipeline = await TestPipeline.StartAsync(_workers.All, file.Path, file.Digest, file.Layers, view: 3);
    }

    public async Task DisposeAsync()
    {
        await _pipeline.DisposeAsync();
        await _workers.DisposeAsync();
    }

    public static TheoryData<string, Action<Wire.ActivationFrame>> Hostile => new()
    {
        { "view 2 is not this worker's", frame => frame.ViewVersion = 2 },
        { "view 4 is not this worker's", frame => frame.ViewVersion = 4 },
        { "from_stage", frame => frame.FromStage = 1 },
        { "total_rows", frame => frame.TotalRows = uint.MaxValue },
        { "rows", frame => frame.RowCount = uint.MaxValue },
        { "payload", frame => frame.Payload = ByteString.CopyFrom(1, 2, 3) },
        { "type", frame => frame.Type = Wire.ActivationType.Q8 },
        { "hidden_size", frame => frame.HiddenSize = 1 << 30 },
    };

    [Theory]
    [MemberData(nameof(Hostile))]
    public async Task Send_AFrameThatCannotBeUsed_IsRefusedAndTheViewGoesOn(string named, Action<Wire.ActivationFrame> change)
    {
        var frame = Frame(1, 1, 7);
        change(frame);
        using var call = Receiver.Activations.Send(deadline: Deadline.Call);
        await call.RequestStream.WriteAsync(frame);
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Contains(named, call.ResponseStream.Current.Refusal);
        Assert.False(await call.ResponseStream.MoveNext(CancellationToken.None));

        Assert.NotNull(await _pipeline.ExecuteAsync(_pipeline.Step(1, 0, 5)));
    }

    [Fact]
    public async Task Send_ToTheFirstStage_IsRefused()
    {
        using var call = _workers[0].Activations.Send(deadline: Deadline.Call);
        await call.RequestStream.WriteAsync(Frame(1, 1, 7));
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal("this worker waits for no activations", call.ResponseStream.Current.Refusal);
    }

    [Fact]
    public async Task Send_StepsThatRanAndStepsSentTwice_AreAcknowledgedAndDropped()
    {
        await _pipeline.ExecuteAsync(_pipeline.Step(1, 0, 5));
        using var call = Receiver.Activations.Send(deadline: Deadline.Call);
        foreach (var (step, value) in new[] { (1UL, 100), (2UL, 50), (2UL, 100) })
        {
            await call.RequestStream.WriteAsync(Frame(step, 1, value));
            Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
            Assert.Equal((step, ""), (call.ResponseStream.Current.StepId, call.ResponseStream.Current.Refusal));
        }
        // The test was first with step 2, so what the real stage 0 sends is the duplicate.
        var result = await _pipeline.ExecuteAsync(_pipeline.Step(2, 1, 6));
        Assert.Equal(50 + file.Layers / 2, result.Sequences[0].Tokens[0].Id);
        Assert.Equal(7 + file.Layers, (await _pipeline.ExecuteAsync(_pipeline.Step(3, 2, 7))).Sequences[0].Tokens[0].Id);
    }

    public static TheoryData<StatusCode, string, Wire.ActivationLinkRequest, Wire.PeerLinkType> Strangers => new()
    {
        { StatusCode.FailedPrecondition, "view 2 is not this worker's, which is 3", new() { ViewVersion = 2 }, default },
        { StatusCode.FailedPrecondition, "from_stage is 1, not 0", new() { ViewVersion = 3, FromStage = 1 }, default },
        { StatusCode.Aborted, "chose a direct connection that it has not opened", new() { ViewVersion = 3 }, Wire.PeerLinkType.Tcp },
        { StatusCode.Aborted, "chose a direct connection that it has not opened", new() { ViewVersion = 3 }, Wire.PeerLinkType.Shm },
    };

    [Theory]
    [MemberData(nameof(Strangers))]
    public async Task Link_WithWhoDisagrees_IsRefusedAndTheViewGoesOn(StatusCode code, string why, Wire.ActivationLinkRequest hello, Wire.PeerLinkType chosen)
    {
        using (var call = Receiver.Activations.Link(deadline: Deadline.Call))
        {
            await call.RequestStream.WriteAsync(hello);
            await SayAsync(call, chosen);
            AssertRefused(code, why, await FailureAsync(call));
        }

        Assert.NotNull(await _pipeline.ExecuteAsync(_pipeline.Step(1, 0, 5)));
    }

    [Fact]
    public async Task Link_OfASecondSender_IsRefused()
    {
        using var call = Receiver.Activations.Link(deadline: Deadline.Call);
        await call.RequestStream.WriteAsync(new Wire.ActivationLinkRequest { ViewVersion = 3 });
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        var offer = call.ResponseStream.Current.Direct;
        using var dialled = await DirectConnection.DialAsync(
            "127.0.0.1", (int)offer.Port, offer.Token.Memory, null, WaitExtensions.Deadline, CancellationToken.None).Soon();
        await SayAsync(call, Wire.PeerLinkType.Tcp);

        AssertRefused(StatusCode.FailedPrecondition, "view 3 has a direct connection from stage 0", await FailureAsync(call));
        Assert.NotNull(await _pipeline.ExecuteAsync(_pipeline.Step(1, 0, 5)));
    }

    /// <summary>What the sender says that it has opened. The call may be over.</summary>
    static Task SayAsync(AsyncDuplexStreamingCall<Wire.ActivationLinkRequest, Wire.ActivationLinkReply> call, Wire.PeerLinkType chosen) =>
        Task.WhenAny(call.RequestStream.WriteAsync(new Wire.ActivationLinkRequest { ViewVersion = 3, Link = chosen }));

    static async Task<RpcException> FailureAsync(AsyncDuplexStreamingCall<Wire.ActivationLinkRequest, Wire.ActivationLinkReply> call) =>
        await Assert.ThrowsAsync<RpcException>(async () =>
        {
            while (await call.ResponseStream.MoveNext(CancellationToken.None).Soon()) Assert.NotNull(call.ResponseStream.Current.Direct);
        });

    static void AssertRefused(StatusCode code, string why, RpcException failure)
    {
        Assert.Contains(why, failure.Status.Detail);
        Assert.Equal(code, failure.StatusCode);
    }

    Wire.ActivationFrame Frame(ulong stepId, int rows, float value)
    {
        var hidden = file.Model.Config.HiddenSize;
        var payload = new byte[rows * hidden * sizeof(float)];
        ActivationCodec.Encode(Wire.ActivationType.F32, [.. Enumerable.Repeat(value, rows * hidden)], hidden, payload);
        return new Wire.ActivationFrame
        {
            ViewVersion = 3,
            StepId = stepId,
            TotalRows = (uint)rows,
            RowCount = (uint)rows,
            HiddenSize = (uint)hidden,
            Type = Wire.ActivationType.F32,
            Payload = ByteString.CopyFrom(payload),
        };
    }
}
