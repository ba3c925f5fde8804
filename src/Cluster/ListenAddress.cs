using System.Net;

namespace LlamaCluster.Cluster;

/// <summary>Where a process listens: an IP address and a port (0: any free one), with TLS (https) or without (http).</summary>
public sealed record ListenAddress(string Scheme, IPEndPoint EndPoint)
{
    /// <summary>It stands for every address of the machine, so it is none that others could call.</summary>
    public bool IsWildcard => EndPoint.Address.Equals(IPAddress.Any) || EndPoint.Address.Equals(IPAddress.IPv6Any);

    /// <summary>Only this machine reaches it.</summary>
    public bool IsLoopback => IPAddress.IsLoopback(EndPoint.Address);

    public Uri Uri => new($"{Scheme}://{EndPoint}");

    /// <summary>Why the text is no address for traffic of the cluster, as the second half of a sentence. Null if it is one.</summary>
    /// <param name="tls">The process has a certificate: the address must be https. Else it must be http.</param>
    public static string? FirstProblem(string text, bool tls)
    {
        if (!tls && Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme == Uri.UriSchemeHttps)
            return "https needs a certificate: give --tls-cert, --tls-key and --tls-ca too";
        return FirstProblem(text, tls ? Uri.UriSchemeHttps : Uri.UriSchemeHttp);
    }

    /// <summary>Why the text is no address of this scheme to listen on, as the second half of a sentence. Null if it is one.</summary>
    public static string? FirstProblem(string text, string scheme)
    {
        var valid = Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri is { PathAndQuery: "/", UserInfo: "", Fragment: "" } && uri.Scheme == scheme;
        return valid && AddressOf(uri!) is not null ? null
            : $"it must be like {scheme}://127.0.0.1:8080: an IP address (0.0.0.0 for all) or localhost, and a port";
    }

    /// <param name="text">Without a problem (see <see cref="FirstProblem(string, bool)"/>).</param>
    public static ListenAddress Parse(string text)
    {
        var uri = new Uri(text);
        return new ListenAddress(uri.Scheme, new IPEndPoint(AddressOf(uri)!, uri.Port));
    }

    static IPAddress? AddressOf(Uri uri) =>
        uri.Host == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(uri.DnsSafeHost, out var address) ? address : null;
}
