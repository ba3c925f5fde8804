using System.Net;

namespace LlamaCluster.Worker.Hosting;

/// <summary>Where a worker listens: an IP address and a port.</summary>
sealed record ListenAddress(IPEndPoint EndPoint)
{
    /// <summary>Every address of the machine, so none that others could call.</summary>
    public bool IsWildcard => EndPoint.Address.Equals(IPAddress.Any) || EndPoint.Address.Equals(IPAddress.IPv6Any);

    /// <summary>Why the text is none, as the second half of a sentence; null if it is one.</summary>
    public static string? FirstProblem(string text)
    {
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri)) return "it must be like http://127.0.0.1:7000";
        if (uri.Scheme == Uri.UriSchemeHttps) return "https needs a certificate, which this version cannot be given; use http";
        if (uri is not { Scheme: "http", PathAndQuery: "/", UserInfo: "", Fragment: "" }) return "it must be like http://127.0.0.1:7000";
        return AddressOf(uri) is null ? "the host must be an IP address (0.0.0.0 for all) or localhost" : null;
    }

    /// <param name="text">Without a problem (see <see cref="FirstProblem"/>).</param>
    public static ListenAddress Parse(string text)
    {
        var uri = new Uri(text);
        return new ListenAddress(new IPEndPoint(AddressOf(uri)!, uri.Port));
    }

    static IPAddress? AddressOf(Uri uri) =>
        uri.Host == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(uri.DnsSafeHost, out var address) ? address : null;
}
