using LlamaCluster.Coordinator.Api.Auditing;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Coordinator.Api.Reading;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>Middleware around all else: hands each request that has ended to the audit log, but those of probes.</summary>
sealed class AuditGate(RequestDelegate next, AuditLog log, TimeProvider time)
{
    /// <summary>What proxies write down where the client was gone before there was a status.</summary>
    const int ClientGone = 499;

    static readonly PathString[] OfProbes = ["/health", "/v1/health", "/ready"];

    public async Task InvokeAsync(HttpContext http)
    {
        if (OfProbes.Contains(http.Request.Path))
        {
            await next(http);
            return;
        }
        var (received, account) = (time.GetTimestamp(), RequestAccount.Open(http));
        await next(http);
        await log.AddAsync(new AuditEntry(
            time.GetUtcNow(), http.TraceIdentifier, http.Features.Get<ApiCaller>() is { Name.Length: > 0 } caller ? caller.Name : null,
            http.Connection.RemoteIpAddress, JsonText.Shorten(http.Request.Method), ShortPathOf(http.Request),
            account.IsCut && !http.Response.HasStarted ? ClientGone : http.Response.StatusCode, account.IsCut, account.PromptTokens, account.CompletionTokens,
            time.GetElapsedTime(received)));
    }

    /// <summary>As it is escaped, without the query. One that is no address of the API may be long.</summary>
    static string ShortPathOf(HttpRequest request)
    {
        const int longest = 200;
        var path = request.Path.ToUriComponent();
        return path.Length <= longest ? path : $"{path.AsSpan(0, longest)}...";
    }
}
