using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Peers;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Activations;

/// <summary>
/// Sets up a direct connection to a worker of the next stage, beside the stream of activations: memory that both map where they are on one host, else TCP.
/// See activations.proto. ActivationsService is the other side.
/// </summary>
sealed partial class StageCaller(WorkerOptions options, ILogger<StageCaller> logger, ClusterTls? tls = null)
{
    /// <remarks>Also one that is to use gRPC says so: the other worker may insist on something else.</remarks>
    /// <param name="timeout">Of the connection.</param>
    /// <param name="stopping">Ends the call, and with it the connection.</param>
    /// <param name="cancellation">Of setting it up.</param>
    /// <returns>Null: everything goes by the stream.</returns>
    /// <exception cref="PeerLinkException">There must be a direct connection, and there is none.</exception>
    /// <exception cref="RpcException">The other worker cannot be reached, or refused.</exception>
    /// <exception cref="OperationCanceledException">It took too long.</exception>
    public async Task<StageLink?> CallAsync(
        Wire.Activations.ActivationsClient client, ActivationShape shape, PeerKey key, Uri address, TimeSpan timeout, CancellationToken stopping,
        CancellationToken cancellation)
    {
        var peer = $"stage {shape.FromStage + 1} ({PeerAddress.Format(address)})";
        var call = client.Link(key.ToHeaders(), cancellationToken: stopping);
        IPeerLink? link = null;
        var isOpen = false;
        try
        {
            var why = options.PeerLink == PeerLinkPreference.Grpc ? "" : "it knows of none";
            if (await OffersAsync(call, Request(options.PeerLink.ToWire()), cancellation) is { } offers)
            {
                var opened = await OpenedLinks.OpenAsync(offers.Direct, offers.SharedMemory, address, peer, onlyOne: true, timeout, tls, cancellation);
                var type = PeerLinkType.Grpc;
                if (opened.Links.Count > 0) (type, link) = opened.Links[0];
                await SayAsync(call, Request(type), cancellation);
                isOpen = await call.ResponseStream.MoveNext(cancellation);
                if (options.PeerLink != PeerLinkPreference.Grpc) why = opened.Why;
            }
            if (!isOpen && options.PeerLink is PeerLinkPreference.Tcp or PeerLinkPreference.Shm)
                throw OpenedLinks.Missing(options.PeerLink.ToWire(), peer, why);
            LogLinked(shape.ViewVersion, peer, link?.Kind ?? "grpc", why.Length == 0 ? "" : $" ({why})");
            return isOpen ? new StageLink(link!, call) : null;
        }
        finally
        {
            if (!isOpen)
            {
                if (link is not null) await link.DisposeAsync();
                call.Dispose();
            }
        }

        ActivationLinkRequest Request(PeerLinkType type) => new() { ViewVersion = shape.ViewVersion, FromStage = (uint)shape.FromStage, Link = type };
    }

    /// <returns>Null: the other worker is of a version that has no direct connections between stages, or wants none.</returns>
    static async Task<ActivationLinkReply?> OffersAsync(
        AsyncDuplexStreamingCall<ActivationLinkRequest, ActivationLinkReply> call, ActivationLinkRequest request, CancellationToken cancellation)
    {
        try
        {
            await SayAsync(call, request, cancellation);
            return await call.ResponseStream.MoveNext(cancellation) ? call.ResponseStream.Current : null;
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.Unimplemented)
        {
            return null;
        }
    }

    /// <summary>Writing to a call that is over fails in one of several ways; reading from it tells why it is over.</summary>
    static async Task SayAsync(
        AsyncDuplexStreamingCall<ActivationLinkRequest, ActivationLinkReply> call, ActivationLinkRequest request, CancellationToken cancellation) =>
        await call.RequestStream.WriteAsync(request, cancellation)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);

    [LoggerMessage(Level = LogLevel.Information, Message = "View {ViewVersion}: activations to {Peer} go by {Chosen}{Why}")]
    partial void LogLinked(ulong viewVersion, string peer, string chosen, string why);
}

/// <summary>A direct connection to the next stage, with the call that it was set up on.</summary>
/// <param name="Link">Owned.</param>
/// <param name="Call">Its end is the end of the connection. Owned.</param>
sealed record StageLink(IPeerLink Link, AsyncDuplexStreamingCall<ActivationLinkRequest, ActivationLinkReply> Call) : IAsyncDisposable
{
    /// <summary>Completes when the other worker has ended the call.</summary>
    /// <exception cref="RpcException">It is gone, or says why it has.</exception>
    public async Task EndedAsync(CancellationToken cancellation)
    {
        while (await Call.ResponseStream.MoveNext(cancellation)) { }
    }

    public async ValueTask DisposeAsync()
    {
        Call.Dispose();
        await Link.DisposeAsync();
    }
}
