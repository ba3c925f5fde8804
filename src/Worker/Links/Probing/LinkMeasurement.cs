using System.Diagnostics;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Links.Probing;

/// <summary>
/// Round trips of nothing, then large messages one after the other: as many as a slow link carries in a fraction of a second. The best of each
/// counts: whatever else the machines do can only slow one down.
/// </summary>
static class LinkMeasurement
{
    /// <summary>For all of it, the connection too.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(3);

    const int WarmUps = 4;
    const int RoundTrips = 20;
    const int FirstBytes = 64 << 10;
    const int MostLarge = 8;

    /// <summary>More large messages follow until this is over.</summary>
    static readonly TimeSpan Enough = TimeSpan.FromMilliseconds(60);

    /// <exception cref="RpcException">The other worker does not answer as it should.</exception>
    public static async Task<(double RoundTripSeconds, double BytesPerSecond)> RunAsync(Wire.Links.LinksClient peer, CancellationToken cancellation)
    {
        using var call = peer.Echo(cancellationToken: cancellation);
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
        for (var i = 0; i < MostLarge && (i < 2 || Stopwatch.GetElapsedTime(start) < Enough); i++)
        {
            var trip = await TripAsync(call, bytes, cancellation);
            // What a probe takes beyond one without payload is its way through the link; on a fast one that is little.
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
