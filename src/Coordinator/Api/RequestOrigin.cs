using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api;

/// <summary>Who sent a request, and the names under which logs and traces know it.</summary>
/// <param name="Client">
/// The client that shares the cluster with others: a digest of API key, address and the end user named by `user`, so that no key is kept.
/// Nobody proves who they are, so this makes for fairness among clients that mean well.
/// </param>
/// <param name="RequestId">The answer's X-Request-Id.</param>
/// <param name="TraceParent">The W3C trace context that work on this request belongs to; null where nobody traces.</param>
sealed record RequestOrigin(string Client, string RequestId, string? TraceParent)
{
    public static RequestOrigin Of(HttpContext http, string? user) => new(ClientOf(http, user), http.TraceIdentifier, Activity.Current?.Id);

    static string ClientOf(HttpContext http, string? user)
        => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', http.Request.Headers.Authorization, http.Connection.RemoteIpAddress, user))));
}
