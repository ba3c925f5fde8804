using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>
/// The sockets that a host listens on. The host opens them before its web server starts, so that an address that cannot be had is one line. The
/// server would log the same exception several times with its stack, and let some of them end the process.
/// </summary>
public sealed class ListenSockets : IConfigureOptions<SocketTransportOptions>, IDisposable
{
    const int Backlog = 512;

    /// <summary>Opened, and not taken by the server yet. With port 0, several may be of one address.</summary>
    readonly Dictionary<EndPoint, Queue<Socket>> _open = [];

    readonly List<Socket> _taken = [];

    /// <summary>Begins to listen. Of a port other than 0 it is done once, however often it is asked for.</summary>
    /// <param name="ifThereIs">The machine may have no such address. Then the server is left to find that out.</param>
    /// <exception cref="IOException">It cannot; the message is one line that says why, and what to do.</exception>
    public void Open(ListenAddress address, bool ifThereIs = false)
    {
        if (address.EndPoint.Port != 0 && _open.ContainsKey(address.EndPoint)) return;
        if (Listen(address, ifThereIs) is { } socket) Add(address.EndPoint, socket);
    }

    /// <summary>Begins to listen before the host that is to serve there is made: who connects meanwhile waits for it.</summary>
    /// <returns>The address with the port that was taken, for the host's options.</returns>
    /// <exception cref="IOException">It cannot; the message is one line that says why, and what to do.</exception>
    public ListenAddress OpenAhead(ListenAddress address)
    {
        var socket = Listen(address, ifThereIs: false)!;
        var taken = address with { EndPoint = (IPEndPoint)socket.LocalEndPoint! };
        Add(taken.EndPoint, socket);
        return taken;
    }

    /// <returns>Null: there is no such address, and there need not be.</returns>
    static Socket? Listen(ListenAddress address, bool ifThereIs)
    {
        Socket? socket = null;
        try
        {
            socket = SocketTransportOptions.CreateDefaultBoundListenSocket(address.EndPoint);
            socket.Listen(Backlog);
            return socket;
        }
        catch (SocketException e)
        {
            socket?.Dispose();
            if (ifThereIs && e.SocketErrorCode is SocketError.AddressNotAvailable or SocketError.AddressFamilyNotSupported) return null;
            throw new IOException($"cannot listen on {address.Uri.GetLeftPart(UriPartial.Authority)}: {Describe(e)}", e);
        }
    }

    void Add(IPEndPoint endPoint, Socket socket)
    {
        if (!_open.TryGetValue(endPoint, out var sockets)) _open[endPoint] = sockets = new Queue<Socket>();
        sockets.Enqueue(socket);
    }

    public void Configure(SocketTransportOptions options) => options.CreateBoundListenSocket = Take;

    /// <summary>
    /// Makes no more connections, and leaves those that there are. Whoever tries is refused at once. Those who have connected already, but have not been taken
    /// on by the server, would be cut off: false if there are any, and then nothing is done.
    /// </summary>
    public bool TryClose()
    {
        lock (_taken)
        {
            if (_taken.Any(socket => !socket.SafeHandle.IsClosed && socket.Poll(TimeSpan.Zero, SelectMode.SelectRead))) return false;
            Close();
            return true;
        }
    }

    /// <summary>The same, whoever has connected.</summary>
    public void Close()
    {
        lock (_taken)
        {
            foreach (var socket in _taken) socket.Dispose();
            _taken.Clear();
        }
    }

    public void Dispose()
    {
        foreach (var socket in _open.Values.SelectMany(sockets => sockets)) socket.Dispose();
        _open.Clear();
    }

    /// <summary>Why an address cannot be had, and what to do about it.</summary>
    internal static string Describe(SocketException e) => e.SocketErrorCode switch
    {
        SocketError.AddressAlreadyInUse => "address already in use: stop what uses the port, or choose another one",
        SocketError.AddressNotAvailable => "this machine has no such address: give one of its own, 127.0.0.1 for this machine alone, or 0.0.0.0 for all",
        SocketError.AccessDenied => "this user may not use the port (below 1024 usually only root may): choose a higher one",
        SocketError.AddressFamilyNotSupported => "this machine has no addresses of this kind (IPv6 may be switched off): give an IPv4 address",
        _ => e.Message.ReplaceLineEndings(" "),
    };

    Socket Take(EndPoint endPoint)
    {
        var socket = _open.TryGetValue(endPoint, out var sockets) && sockets.TryDequeue(out var open)
            ? open
            : SocketTransportOptions.CreateDefaultBoundListenSocket(endPoint);
        lock (_taken) _taken.Add(socket);
        return socket;
    }
}

/// <summary>Registers <see cref="ListenSockets"/>.</summary>
public static class ListenSocketsRegistration
{
    public static IServiceCollection AddListenSockets(this IServiceCollection services) => services
        .AddSingleton<ListenSockets>()
        .AddSingleton<IConfigureOptions<SocketTransportOptions>>(provider => provider.GetRequiredService<ListenSockets>());
}
