using System.Diagnostics;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Services;

/// <summary>Measures the network between this worker and others, and answers workers that measure it to this one.</summary>
sealed class LinksService(PeerChannels channels, ClusterOwner owner, WorkerLifetime lifetime) : Wire.Links.LinksBase
{
    /// <summary>The most probes of a stream. A measurement sends about half as many.</summary>
    public const int MaxProbes = 64;

    static readonly Wire.LinkProbe Answer = new();

    [CalledBy(Caller.Coordinator)]
    public override async Task<Wire.MeasureLinkReply> Measure(Wire.MeasureLinkRequest request, ServerCallContext context)
    {
        owner.Signs.Heard();
        var (address, key) = (Field.Address("address", request.Address), PeerKey.Read("key", request.Key));
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.Closing);
        ends.CancelAfter(NetworkMeasurement.Deadline);
        try
        {
            using var channel = channels.Open(address);
            var (roundTrip, bytesPerSecond) = await NetworkMeasurement.RunAsync(new Wire.Links.LinksClient(channel), key, ends.Token);
            return new Wire.MeasureLinkReply { RoundTripSeconds = roundTrip, BytesPerSecond = bytesPerSecond };
        }
        catch (Exception e) when (e is RpcException or IOException or OperationCanceledException)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, $"the way to {request.Address} could not be measured: {RpcProblem.Describe(e)}"));
        }
    }

    [CalledBy(Caller.LinkMeter)]
    public override async Task Echo(IAsyncStreamReader<Wire.LinkProbe> probes, IServerStreamWriter<Wire.LinkProbe> answers, ServerCallContext context)
    {
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.Closing);
        ends.CancelAfter(NetworkMeasurement.Deadline);
        for (var count = 1; await probes.MoveNext(ends.Token); count++)
        {
            if (count > MaxProbes) throw new InvalidMessageException($"more than {MaxProbes} probes on a stream");
            if (probes.Current.Payload.Length > MessageBudgets.FramePayload)
                throw new InvalidMessageException($"a probe of {probes.Current.Payload.Length} bytes, more than {MessageBudgets.FramePayload}");
            await answers.WriteAsync(Answer, ends.Token);
        }
    }
}

/// <summary>
/// Measures the network to another worker: round trips of empty messages first, then large messages, as many as a slow network carries in a
/// fraction of a second. The best of each counts, because other work on the machines can only slow one down.
/// </summary>
static class NetworkMeasurement
{
    /// <summary>For the whole measurement, connecting included.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(3);

    const int WarmUps = 4;
    const int RoundTrips = 20;
    const int FirstBytes = 64 << 10;
    const int MaxLarge = 8;

    /// <summary>Large messages are sent for so long.</summary>
    static readonly TimeSpan Enough = TimeSpan.FromMilliseconds(60);

    /// <param name="key">That the other worker takes for a measurement.</param>
    /// <exception cref="RpcException">The other worker does not answer as it should.</exception>
    public static async Task<(double RoundTripSeconds, double BytesPerSecond)> RunAsync(
        Wire.Links.LinksClient peer, PeerKey key, CancellationToken cancellation)
    {
        using var call = peer.Echo(key.ToHeaders(), cancellationToken: cancellation);
        for (var i = 0; i < WarmUps; i++) await TripAsync(call, 0, cancellation);
        var roundTrip = double.PositiveInfinity;
        for (var i = 0; i < RoundTrips; i++) roundTrip = Math.Min(roundTrip, await TripAsync(call, 0, cancellation));
        var rate = await RateAsync(call, roundTrip, cancellation);
        await call.RequestStream.CompleteAsync();
        return (roundTrip, rate);
    }

    static async Task<double> RateAsync(AsyncDuplexStreamingCall<Wire.LinkProbe, Wire.LinkProbe> call, double roundTrip, CancellationToken cancellation)
    {
        var best = 0.0;
        var bytes = FirstBytes;
        var start = Stopwatch.GetTimestamp();
        for (var i = 0; i < MaxLarge && (i < 2 || Stopwatch.GetElapsedTime(start) < Enough); i++)
        {
            var trip = await TripAsync(call, bytes, cancellation);
            // The time beyond an empty probe's is the payload's. On a fast network that difference is small and noisy, so it is bounded.
            best = Math.Max(best, bytes / Math.Max(trip - roundTrip, trip / 4));
            if (Stopwatch.GetElapsedTime(start) < Enough) bytes = MessageBudgets.FramePayload;
        }
        return best;
    }

    static async Task<double> TripAsync(AsyncDuplexStreamingCall<Wire.LinkProbe, Wire.LinkProbe> call, int bytes, CancellationToken cancellation)
    {
        var probe = new Wire.LinkProbe { Payload = bytes == 0 ? ByteString.Empty : UnsafeByteOperations.UnsafeWrap(new byte[bytes]) };
        var start = Stopwatch.GetTimestamp();
        await call.RequestStream.WriteAsync(probe, cancellation);
        if (!await call.ResponseStream.MoveNext(cancellation)) throw new RpcException(new Status(StatusCode.Unavailable, "it ended the stream of probes"));
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
