using Grpc.Core;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>The worker of the next stage, as a test wants it: what it answers to each frame is up to the test.</summary>
sealed class FakeReceiver : Wire.Activations.ActivationsBase, IAsyncDisposable
{
    LoopbackService? _service;

    public Uri Address => _service!.Address;

    /// <summary>Null: no answer. An exception ends the stream.</summary>
    public Func<Wire.ActivationFrame, Wire.ActivationAck?> OnFrame { get; set; } = frame => new Wire.ActivationAck { StepId = frame.StepId };

    public static async Task<FakeReceiver> StartAsync()
    {
        var receiver = new FakeReceiver();
        receiver._service = await LoopbackService.StartAsync(receiver);
        return receiver;
    }

    public override async Task Send(
        IAsyncStreamReader<Wire.ActivationFrame> frames, IServerStreamWriter<Wire.ActivationAck> acks, ServerCallContext context)
    {
        await context.WriteResponseHeadersAsync([]);
        while (await frames.MoveNext(context.CancellationToken))
            if (OnFrame(frames.Current) is { } ack) await acks.WriteAsync(ack, context.CancellationToken);
    }

    public ValueTask DisposeAsync() => _service!.DisposeAsync();
}
