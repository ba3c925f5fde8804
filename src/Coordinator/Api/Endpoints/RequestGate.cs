using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>Middleware around all of the API: names the request, and is the one place where an exception becomes an answer.</summary>
sealed partial class RequestGate(RequestDelegate next, ILogger<RequestGate> logger)
{
    const string RequestId = "X-Request-Id";
    const string SessionId = "X-Session-Id";
    const int LongestRequestId = 128;

    public async Task InvokeAsync(HttpContext http)
    {
        var id = http.TraceIdentifier = ReadId(http.Request) ?? $"req_{Guid.NewGuid():N}";
        http.Response.Headers[RequestId] = id;
        try
        {
            if (http.Request.Headers.ContainsKey(SessionId)) await JsonResponse.WriteAsync(http.Response, NoSessions());
            else await next(http);
        }
        catch (Exception gone) when (http.RequestAborted.IsCancellationRequested)
        {
            LogClientGone(id, gone.GetType().Name);
        }
        catch (BadHttpRequestException bad) when (!http.Response.HasStarted)
        {
            await JsonResponse.WriteAsync(http.Response, bad.StatusCode == StatusCodes.Status413PayloadTooLarge
                ? ApiError.TooLarge(ApiLimits.BodyBytes)
                : ApiError.Invalid(null, bad.Message) with { Status = bad.StatusCode });
        }
        catch (Exception bug)
        {
            LogBug(id, http.Request.Path, bug);
            await FailAsync(http, ApiError.Internal($"An error of the coordinator; its log says more under request id {id}."));
        }
    }

    /// <summary>The client's own id, if it is short and plain.</summary>
    static string? ReadId(HttpRequest request)
        => request.Headers[RequestId] is [{ Length: > 0 and <= LongestRequestId } id] && id.All(letter => letter is > ' ' and <= '~') ? id : null;

    static ApiError NoSessions() => ApiError.Unsupported(SessionId, $"The header '{SessionId}' is not supported: sessions are not supported yet.");

    static async Task FailAsync(HttpContext http, ApiError error)
    {
        if (!http.Response.HasStarted)
        {
            await JsonResponse.WriteAsync(http.Response, error);
        }
        else if (SseStream.IsOpen(http.Response))
        {
            using var events = new SseStream(http.Response);
            await events.FailAsync(error, http.RequestAborted);
        }
        else
        {
            http.Abort(); // half a JSON document is all there is
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "Request {Id}: the client has gone ({Reason})")]
    partial void LogClientGone(string id, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Request {Id} to {Path} failed")]
    partial void LogBug(string id, string path, Exception bug);
}
