using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Links.Probing;

/// <summary>Measures this worker's ways to others, and answers those who measure theirs to it.</summary>
sealed class LinksService(PeerChannels channels, WorkerLifetime lifetime) : Wire.Links.LinksBase
{
    /// <summary>A measurement sends about half as many.</summary>
    public const int MostProbes = 64;

    static readonly Wire.LinkProbe Answer = new();

    public override async Task<Wire.MeasureLinkReply> Measure(Wire.MeasureLinkRequest request, ServerCallContext context)
    {
        var address = Field.Address("address", request.Address);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.Closing);
        ends.CancelAfter(LinkMeasurement.Deadline);
        try
        {
            using var channel = channels.Open(address);
            var (roundTrip, bytesPerSecond) = await LinkMeasurement.RunAsync(new Wire.Links.LinksClient(channel), ends.Token);
            return new Wire.MeasureLinkReply { RoundTripSeconds = roundTrip, BytesPerSecond = bytesPerSecond };
        }
        catch (Exception e) when (e is RpcException or IOException or OperationCanceledException)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, $"the way to {request.Address} could not be measured: {RpcProblem.Describe(e)}"));
        }
    }

    public override async Task Echo(IAsyncStreamReader<Wire.LinkProbe> probes, IServerStreamWriter<Wire.LinkProbe> answers, ServerCallContext context)
    {
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.Closing);
        ends.CancelAfter(LinkMeasurement.Deadline);
        for (var count = 1; await probes.MoveNext(ends.Token); count++)
        {
            if (count > MostProbes) throw new InvalidMessageException($"more than {MostProbes} probes on a stream");
            if (probes.Current.Payload.Length > MessageBudgets.FramePayload)
                throw new InvalidMessageException($"a probe of {probes.Current.Payload.Length} bytes, more than {MessageBudgets.FramePayload}");
            await answers.WriteAsync(Answer, ends.Token);
        }
    }
}
