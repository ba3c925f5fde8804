using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Api.Answering;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace LlamaCluster.Coordinator.WebPage;

/// <summary>GET /console/{file}: the files of the console, whose page is at / for who accepts HTML. They hold nothing of the cluster.</summary>
sealed class ConsoleEndpoint : IEndpoint
{
    public const string File = "file";

    /// <summary>
    /// The page loads nothing from elsewhere and talks to nobody else; it is framed by nobody, and no text can become markup or script.
    /// </summary>
    const string Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        + "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        var name = http.Request.RouteValues[File] as string ?? "";
        if (ConsoleFiles.Find(name) is not { } file) return ApiError.UnknownPath($"GET {http.Request.Path}", "The console is at /.");
        await SendAsync(http, file);
        return null;
    }

    /// <summary>Whether this is a browser that shows a page. Others that ask for / get a line of text.</summary>
    public static bool WantsPage(HttpRequest request) => request.GetTypedHeaders().Accept.Any(accepted => accepted.MediaType == "text/html");

    public static Task SendPageAsync(HttpContext http)
    {
        http.Response.Headers.Vary = HeaderNames.Accept;
        return SendAsync(http, ConsoleFiles.Find(ConsoleFiles.Page)!);
    }

    static async Task SendAsync(HttpContext http, ConsoleFile file)
    {
        var headers = http.Response.Headers;
        headers.ETag = file.Tag;
        headers.CacheControl = "no-cache";   // asks each time, and is told that nothing has changed
        PageHeaders.Set(headers, Policy);
        if (http.Request.Headers.IfNoneMatch == file.Tag)
        {
            http.Response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }
        http.Response.ContentType = file.ContentType;
        http.Response.ContentLength = file.Content.Length;
        if (HttpMethods.IsGet(http.Request.Method)) await http.Response.Body.WriteAsync(file.Content, http.RequestAborted);
    }
}
