using System.Net;
using System.Net.Sockets;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Kernels;
using LlamaCluster.Protos;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Peers;

/// <summary>
/// The direct connections that a worker offers to one that has called it, until the caller has chosen. <see cref="OpenedLinks"/> is the other side.
/// </summary>
sealed partial class LinkOffers : IAsyncDisposable
{
    readonly ILogger _logger;
    readonly string _peer;
    readonly DirectListener? _listener;
    readonly SharedMemoryLink? _shared;
    readonly Task<IPeerLink?> _accepted;
    IPeerLink? _taken;

    /// <param name="preference">This worker's.</param>
    /// <param name="theirs">The caller's.</param>
    /// <param name="timeout">Of the links.</param>
    /// <param name="closing">Ends the offer of a port.</param>
    public LinkOffers(
        PeerLinkPreference preference, PeerLinkType theirs, ServerCallContext context, string peer, TimeSpan timeout, ClusterTls? tls, ILogger logger,
        CancellationToken closing)
    {
        (_peer, _logger) = (peer, logger);
        if (IsWanted(PeerLinkType.Tcp)) _listener = TryListen(context, tls, timeout, closing);
        if (IsWanted(PeerLinkType.Shm)) _shared = TryShare(timeout);
        _accepted = AcceptAsync();

        bool IsWanted(PeerLinkType type) =>
            (preference == PeerLinkPreference.Auto || preference.ToWire() == type) && (theirs == PeerLinkType.Unspecified || theirs == type);
    }

    /// <summary>Null: no port is offered.</summary>
    public DirectOffer? Direct => _listener?.Offer;

    /// <summary>Null: no memory is offered.</summary>
    public SharedMemoryOffer? SharedMemory { get; private set; }

    /// <summary>Each link that is offered, once the caller can use it. Null: nobody came.</summary>
    public IReadOnlyList<Task<IPeerLink?>> Links => [Task.FromResult<IPeerLink?>(_shared), _accepted];

    /// <summary>In one line, why two workers cannot have a link. Null: they can.</summary>
    public static string? FirstProblem(PeerLinkType theirs, PeerLinkPreference ours) =>
        theirs == PeerLinkType.Unspecified || ours == PeerLinkPreference.Auto || theirs == ours.ToWire()
            ? null
            : $"--peer-link is {theirs} there and {ours} here";

    /// <summary>Hands out the link that the caller has chosen, and closes the others. Null: the caller has chosen the stream.</summary>
    /// <exception cref="PeerLinkException">The caller has not opened what it chose.</exception>
    public async Task<IPeerLink?> TakeAsync(PeerLinkType chosen)
    {
        // A caller that chose a direct connection has opened it before. So nobody connects any more.
        if (_listener is not null) await _listener.DisposeAsync();
        _taken = chosen switch
        {
            PeerLinkType.Tcp => await _accepted,
            PeerLinkType.Shm when _shared is { IsOpened: true } => _shared,
            _ => null,
        };
        if (_taken is null && chosen is PeerLinkType.Tcp or PeerLinkType.Shm)
            throw new PeerLinkException($"{_peer} chose a direct connection that it has not opened");
        await DisposeAsync();
        return _taken;
    }

    /// <summary>Closes what was not handed out.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_listener is not null) await _listener.DisposeAsync();
        _shared?.Unlink();
        foreach (var link in Links)
            if (await link is { } opened && opened != _taken) await opened.DisposeAsync();
    }

    async Task<IPeerLink?> AcceptAsync() =>
        _listener is not null && await _listener.Accepted is { } accepted ? new TcpPeerLink(accepted.Connection, accepted.Stream, _peer) : null;

    /// <summary>Listens on the address at which the caller reached this worker. Null if no port is free.</summary>
    DirectListener? TryListen(ServerCallContext context, ClusterTls? tls, TimeSpan timeout, CancellationToken closing)
    {
        if (context.GetHttpContext().Connection.LocalIpAddress is not { } address) return null;
        try
        {
            return DirectListener.Open(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address, tls, timeout, _logger, closing);
        }
        catch (SocketException e)
        {
            LogCannotListen(address, e.Message);
            return null;
        }
    }

    /// <summary>Null if this system has no such memory, or no room for it.</summary>
    SharedMemoryLink? TryShare(TimeSpan timeout)
    {
        if (!Kernels.SharedMemory.IsSupported) return null;
        try
        {
            var link = SharedMemoryLink.Create(_peer, timeout, out var name, out var token);
            SharedMemory = new SharedMemoryOffer { Name = name, Token = ByteString.CopyFrom(token) };
            return link;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogCannotShare(e.Message);
            return null;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "No direct connection can be offered at {Address}: {Problem}")]
    partial void LogCannotListen(IPAddress address, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "No shared memory can be offered: {Problem}")]
    partial void LogCannotShare(string problem);
}

/// <summary>The direct connections to another worker that could be opened, of those that it offered. <see cref="LinkOffers"/> is the other side.</summary>
/// <param name="Links">Shared memory first. Owned by who asked for them.</param>
/// <param name="Why">Why there are no more, in one line; "" if there is no reason.</param>
sealed record OpenedLinks(IReadOnlyList<(PeerLinkType Type, IPeerLink Link)> Links, string Why)
{
    /// <summary>What to say where one of the two workers insists on a direct connection that there is not.</summary>
    public static PeerLinkException Missing(PeerLinkType wanted, string peer, string why) =>
        new($"--peer-link is {wanted.ToString().ToLowerInvariant()}, but there is no direct connection to {peer}: {why}");

    /// <param name="address">Where the other worker was called.</param>
    /// <param name="peer">It, for people.</param>
    /// <param name="onlyOne">The first that can be opened is enough.</param>
    /// <param name="timeout">Of the links.</param>
    /// <exception cref="PeerLinkException">What it offers can be no connection.</exception>
    public static async Task<OpenedLinks> OpenAsync(
        DirectOffer? direct, SharedMemoryOffer? shared, Uri address, string peer, bool onlyOne, TimeSpan timeout, ClusterTls? tls,
        CancellationToken cancellation)
    {
        if (direct is not null && (direct.Port is 0 or > ushort.MaxValue || direct.Token.Length != DirectConnection.TokenBytes)
            || shared is not null && shared.Token.Length != SharedMemoryLink.TokenBytes)
            throw new PeerLinkException($"{peer} offered a direct connection that can be none");
        var links = new List<(PeerLinkType, IPeerLink)>();
        var problems = new List<string>();
        if (shared is not null) TryMap(shared);
        if (direct is not null && !(onlyOne && links.Count > 0)) await TryDialAsync(direct);
        if (direct is null && shared is null) problems.Add("no direct connection was offered");
        return new OpenedLinks(links, string.Join("; ", problems));

        void TryMap(SharedMemoryOffer offer)
        {
            try
            {
                if (!SharedMemory.IsSupported) throw new IOException("this system has none");
                links.Add((PeerLinkType.Shm, SharedMemoryLink.Open(offer.Name, offer.Token.Span, peer, timeout)));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                problems.Add($"shared memory: {e.Message.ReplaceLineEndings(" ")}");
            }
        }

        async Task TryDialAsync(DirectOffer offer)
        {
            // A firewall may drop packets to the port. Then there must be time left to use the stream.
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            deadline.CancelAfter(RpcSettings.ConnectTimeout);
            try
            {
                var dialled = await DirectConnection.DialAsync(address.DnsSafeHost, (int)offer.Port, offer.Token.Memory, tls, timeout, deadline.Token);
                links.Add((PeerLinkType.Tcp, new TcpPeerLink(dialled.Connection, dialled.Stream, peer)));
            }
            catch (Exception e) when (e is IOException or SocketException or OperationCanceledException && !cancellation.IsCancellationRequested)
            {
                problems.Add($"port {offer.Port}: {RpcProblem.Describe(e)}");
            }
            catch
            {
                foreach (var (_, link) in links) await link.DisposeAsync();
                throw;
            }
        }
    }
}

static class PeerLinkPreferenceMapping
{
    public static PeerLinkType ToWire(this PeerLinkPreference preference) => preference switch
    {
        PeerLinkPreference.Grpc => PeerLinkType.Grpc,
        PeerLinkPreference.Tcp => PeerLinkType.Tcp,
        PeerLinkPreference.Shm => PeerLinkType.Shm,
        _ => PeerLinkType.Unspecified,
    };
}
