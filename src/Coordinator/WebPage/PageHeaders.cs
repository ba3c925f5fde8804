using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.WebPage;

/// <summary>Headers that every page for browsers has, and the files that belong to it.</summary>
static class PageHeaders
{
    /// <param name="policy">What the browser lets the page do: a Content-Security-Policy.</param>
    public static void Set(IHeaderDictionary headers, string policy)
    {
        headers.ContentSecurityPolicy = policy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
    }
}
