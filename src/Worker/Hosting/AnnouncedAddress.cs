using System.Net;
using System.Net.Sockets;

namespace LlamaCluster.Worker.Hosting;

/// <summary>The address that a worker tells others to reach it by.</summary>
static class AnnouncedAddress
{
    /// <param name="bound">What the server listens on, with the real port.</param>
    /// <exception cref="SocketException">It listens on a wildcard, and no network leads to the coordinator.</exception>
    public static async Task<Uri> OfAsync(ListenAddress bound, Uri coordinator, CancellationToken cancellation)
    {
        var address = bound.IsWildcard ? await TowardsAsync(coordinator, cancellation) : bound.EndPoint.Address;
        return new Uri($"{bound.Scheme}://{new IPEndPoint(address, bound.EndPoint.Port)}");
    }

    // Connecting a UDP socket sends nothing; it only makes the system choose the address it would send from.
    static async Task<IPAddress> TowardsAsync(Uri coordinator, CancellationToken cancellation)
    {
        var targets = await Dns.GetHostAddressesAsync(coordinator.DnsSafeHost, cancellation);
        if (targets.Length == 0) throw new SocketException((int)SocketError.HostNotFound);
        using var socket = new Socket(targets[0].AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(targets[0], coordinator.Port, cancellation);
        return ((IPEndPoint)socket.LocalEndPoint!).Address;
    }
}
