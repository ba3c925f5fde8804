using System.Net;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>
/// The one place where handlers of HTTP connections are made, so that it is decided once what may go through a proxy. Settings like HTTP_PROXY are for
/// the internet. Processes of a cluster, and anything on this machine, are never reached through one.
/// </summary>
public static class HttpHandlers
{
    /// <summary>For processes of the cluster: never through a proxy, and nothing but what the caller sends.</summary>
    public static SocketsHttpHandler Direct() => new()
    {
        UseProxy = false,
        UseCookies = false,
        AllowAutoRedirect = false,
        ActivityHeadersPropagator = null,
    };

    /// <summary>For an address that a user gave: through the user's proxy, unless the address is this machine.</summary>
    public static SocketsHttpHandler ForUsersAddress() => ForUsersAddress(HttpClient.DefaultProxy);

    /// <param name="proxy">The user's proxy.</param>
    internal static SocketsHttpHandler ForUsersAddress(IWebProxy proxy) => new()
    {
        Proxy = new ProxyOfOtherMachines(proxy),
        UseCookies = false,
    };
}

/// <summary>A proxy for everything but this machine.</summary>
sealed class ProxyOfOtherMachines(IWebProxy proxy) : IWebProxy
{
    const string LocalDomain = ".localhost";

    public ICredentials? Credentials
    {
        get => proxy.Credentials;
        set => proxy.Credentials = value;
    }

    public Uri? GetProxy(Uri destination) => IsThisMachine(destination) ? null : proxy.GetProxy(destination);

    public bool IsBypassed(Uri host) => IsThisMachine(host) || proxy.IsBypassed(host);

    /// <summary>It is loopback, or the wildcard, by which a program reaches this machine too.</summary>
    static bool IsThisMachine(Uri uri)
    {
        if (uri.IsLoopback) return true;
        var host = uri.DnsSafeHost.TrimEnd('.');
        if (host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || host.EndsWith(LocalDomain, StringComparison.OrdinalIgnoreCase)) return true;
        if (!IPAddress.TryParse(host, out var address)) return false;
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        return IPAddress.IsLoopback(address) || address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);
    }
}
