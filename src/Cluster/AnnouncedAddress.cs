using System.Net;
using System.Net.Sockets;

namespace LlamaCluster.Cluster;

/// <summary>The address that a process of the cluster tells others to reach it by.</summary>
public static class AnnouncedAddress
{
    /// <param name="bound">What the server listens on, with the real port.</param>
    /// <param name="peer">One that others reach on the same network.</param>
    /// <exception cref="SocketException">It listens on a wildcard, and no network leads to the peer.</exception>
    public static async Task<Uri> OfAsync(ListenAddress bound, Uri peer, CancellationToken cancellation)
        => new($"{bound.Scheme}://{new IPEndPoint(await HostOfAsync(bound, peer, cancellation), bound.EndPoint.Port)}");

    /// <summary>The same without the port.</summary>
    public static async Task<IPAddress> HostOfAsync(ListenAddress bound, Uri peer, CancellationToken cancellation)
        => bound.IsWildcard ? await TowardsAsync(peer, cancellation) : bound.EndPoint.Address;

    // Connecting a UDP socket sends nothing; it only makes the system choose the address it would send from.
    static async Task<IPAddress> TowardsAsync(Uri peer, CancellationToken cancellation)
    {
        var targets = await Dns.GetHostAddressesAsync(peer.DnsSafeHost, cancellation);
        if (targets.Length == 0) throw new SocketException((int)SocketError.HostNotFound);
        using var socket = new Socket(targets[0].AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(targets[0], peer.Port, cancellation);
        return ((IPEndPoint)socket.LocalEndPoint!).Address;
    }
}
