using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Coordinator.WebPage;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Scalar.AspNetCore;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>
/// GET /docs: a page by Scalar that shows what <see cref="ApiDocument"/> says and tries it out. Its files come from the package, and the browser is told to
/// load nothing from anywhere else and to send nothing there.
/// </summary>
static class ApiReferencePage
{
    public const string Address = "/docs";

    /// <summary>
    /// Strangers may look where keys are asked for too: the page has no more than docs/api.md, and what it tries out needs a key like any other request.
    /// </summary>
    public static void Map(IEndpointRouteBuilder routes) => routes
        .MapScalarApiReference(Address, options => options
            .WithTitle("LlamaCluster")
            .WithOpenApiRoutePattern(ApiDocument.Address)
            .WithNonce()
            .DisableDefaultFonts()   // these come from Scalar's servers, and so do the next three
            .DisableTelemetry()
            .DisableAgent()
            .DisableMcp()
            .HideDeveloperTools())
        .WithMetadata(new NeededScope(ApiScopes.None))
        .Add(AddHeaders);

    static void AddHeaders(EndpointBuilder endpoint)
    {
        var answer = endpoint.RequestDelegate!;
        endpoint.RequestDelegate = http =>
        {
            http.Response.OnStarting(() =>
            {
                PageHeaders.Set(http.Response.Headers, PolicyOf(http));
                return Task.CompletedTask;
            });
            return answer(http);
        };
    }

    /// <summary>
    /// The console's, but for styles, which Scalar makes as it goes, and pictures that it has in itself. Its page starts by a script of its own, which carries
    /// the number that was drawn for this answer.
    /// </summary>
    static string PolicyOf(HttpContext http)
    {
        var start = http.Items[ScalarOptions.NonceHttpContextItemKey] is string nonce ? $" 'nonce-{nonce}'" : "";
        return $"default-src 'none'; script-src 'self'{start}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
            + "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    }
}
