using System.Net;

namespace LlamaCluster.Cluster;

/// <summary>Where a process listens: an IP address and a port (0: any free one), with TLS (https) or without (http).</summary>
public sealed record ListenAddress(string Scheme, IPEndPoint EndPoint)
{
    /// <summary>It stands for every address of the machine, so it is none that others could call.</summary>
    public bool IsWildcard => EndPoint.Address.Equals(IPAddress.Any) || EndPoint.Address.Equals(IPAddress.IPv6Any);

    public Uri Uri => new($"{Scheme}://{EndPoint}");

    /// <summary>Why the text is no address to listen on, as the second half of a sentence. Null if it is one.</summary>
    /// <param name="tls">The process has a certificate: the address must be https. Else it must be http.</param>
    public static string? FirstProblem(string text, bool tls)
    {
        var scheme = tls ? Uri.UriSchemeHttps : Uri.UriSchemeHttp;
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri)) return $"it must be like {scheme}://127.0.0.1:7000";
        if (uri.Scheme == Uri.UriSchemeHttps && !tls) return "https needs a certificate: give --tls-cert, --tls-key and --tls-ca too";
        if (uri is not { PathAndQuery: "/", UserInfo: "", Fragment: "" } || uri.Scheme != scheme) return $"it must be like {scheme}://127.0.0.1:7000";
        return AddressOf(uri) is null ? "the host must be an IP address (0.0.0.0 for all) or localhost" : null;
    }

    /// <param name="text">Without a problem (see <see cref="FirstProblem"/>).</param>
    public static ListenAddress Parse(string text)
    {
        var uri = new Uri(text);
        return new ListenAddress(uri.Scheme, new IPEndPoint(AddressOf(uri)!, uri.Port));
    }

    static IPAddress? AddressOf(Uri uri) =>
        uri.Host == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(uri.DnsSafeHost, out var address) ? address : null;
}
