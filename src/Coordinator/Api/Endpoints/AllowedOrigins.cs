using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>
/// Which web pages may call the API, and by which names. Pages of this machine and of desktop programs may; those of other sites only if the
/// operator names them. "null" is no origin: any site can make a page that has it.
/// </summary>
sealed class AllowedOrigins(ApiOptions options)
{
    static readonly TimeSpan PreflightAge = TimeSpan.FromHours(1);

    /// <summary>Of pages that desktop programs bring along.</summary>
    static readonly string[] LocalSchemes = ["app", "file", "tauri", "vscode-webview", "vscode-file"];

    /// <summary>Nobody else can have these names looked up as an address of theirs.</summary>
    static readonly StringSegment[] LocalNames = ["localhost", "*.localhost", "*.local", "*.internal"];

    readonly bool _any = options.CorsOrigins.Contains(ApiOptions.AnyOrigin);
    readonly string[] _named = [.. options.CorsOrigins.Where(origin => origin != ApiOptions.AnyOrigin).Select(origin => origin.TrimEnd('/'))];
    readonly StringSegment[] _names =
    [
        .. LocalNames, Environment.MachineName,
        .. options.CorsOrigins.Where(origin => origin != ApiOptions.AnyOrigin).Select(origin => (StringSegment)new Uri(origin).Host),
    ];

    /// <summary>Whether scripts of a page of this origin may read answers.</summary>
    public bool Allow(string origin)
    {
        if (_any || _named.Contains(origin, StringComparer.OrdinalIgnoreCase)) return true;
        var scheme = origin.Split("://", 2)[0];
        if (LocalSchemes.Contains(scheme, StringComparer.OrdinalIgnoreCase)) return true;
        return Uri.TryCreate(origin, UriKind.Absolute, out var uri)
            && (uri.Scheme == Uri.UriSchemeHttp || uri.Scheme == Uri.UriSchemeHttps)
            && (uri.IsLoopback || HostString.MatchesAny(uri.Host, [LocalNames[0], LocalNames[1]]));
    }

    /// <summary>
    /// Whether a request to this machine means it by this name. Any site can have its own name looked up as 127.0.0.1 (DNS rebinding), and its
    /// pages could then read answers without asking. Addresses are no names, and cannot be looked up as others.
    /// </summary>
    public bool AllowHost(HostString host) => _any || !host.HasValue || IsAddress(host.Host) || HostString.MatchesAny(host.Host, _names);

    /// <summary>For ASP.NET Core's CORS middleware.</summary>
    public void AddTo(CorsPolicyBuilder policy, params string[] readableHeaders) => policy
        .SetIsOriginAllowed(Allow).AllowAnyHeader().AllowAnyMethod().WithExposedHeaders(readableHeaders).SetPreflightMaxAge(PreflightAge);

    static bool IsAddress(string host) => System.Net.IPAddress.TryParse(host, out _);
}
