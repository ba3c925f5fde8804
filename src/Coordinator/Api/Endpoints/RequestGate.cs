using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>
/// Middleware around all of the API: names the request, refuses one whose head is too long, and is the one place where an exception becomes an
/// answer.
/// </summary>
sealed partial class RequestGate(RequestDelegate next, ILogger<RequestGate> logger)
{
    /// <summary>Header of requests and answers: the request's name.</summary>
    public const string RequestId = "X-Request-Id";

    const int LongestRequestId = 128;

    public async Task InvokeAsync(HttpContext http)
    {
        var id = http.TraceIdentifier = ReadId(http.Request) ?? $"req_{Guid.NewGuid():N}";
        http.Response.Headers[RequestId] = id;
        using var request = logger.BeginRequestScope(id);
        try
        {
            if (HeadProblem(http) is { } tooLong) await JsonResponse.WriteAsync(http.Response, tooLong);
            else await next(http);
        }
        catch (Exception gone) when (http.RequestAborted.IsCancellationRequested)
        {
            LogClientGone(id, gone.GetType().Name);
            RequestAccount.Of(http)?.IsCut = true;
        }
        catch (BadHttpRequestException bad) when (!http.Response.HasStarted)
        {
            await JsonResponse.WriteAsync(http.Response, bad.StatusCode switch
            {
                StatusCodes.Status413PayloadTooLarge => ApiError.TooLarge(ApiLimits.BodyBytes),
                StatusCodes.Status408RequestTimeout => ApiError.TooSlow(ApiLimits.BodyBytesPerSecond),
                var status => ApiError.Invalid(null, bad.Message) with { Status = status },
            });
        }
        catch (Exception bug)
        {
            LogBug(id, http.Request.Path, bug);
            if (http.Response.HasStarted) RequestAccount.Of(http)?.IsCut = true;
            await FailAsync(http, ApiError.Bug(id));
        }
    }

    /// <summary>The client's own id, if it is short and plain.</summary>
    static string? ReadId(HttpRequest request)
        => request.Headers[RequestId] is [{ Length: > 0 and <= LongestRequestId } id] && id.All(letter => letter is > ' ' and <= '~') ? id : null;

    static ApiError? HeadProblem(HttpContext http)
    {
        if (http.Features.Get<IHttpRequestFeature>() is { RawTarget.Length: > ApiLimits.TargetBytes })
            return ApiError.LongHead(StatusCodes.Status414UriTooLong, $"The request's address is longer than {ApiLimits.TargetBytes} bytes.");
        var (count, bytes) = (0, 0);
        foreach (var (name, values) in http.Request.Headers)
            foreach (var value in values)
                (count, bytes) = (count + 1, bytes + name.Length + (value?.Length ?? 0));
        return count > ApiLimits.Headers || bytes > ApiLimits.HeaderBytes
            ? ApiError.LongHead(
                StatusCodes.Status431RequestHeaderFieldsTooLarge,
                $"The request has {count} headers of {bytes} bytes; the most allowed are {ApiLimits.Headers} of {ApiLimits.HeaderBytes} bytes together.")
            : null;
    }

    static async Task FailAsync(HttpContext http, ApiError error)
    {
        if (!http.Response.HasStarted)
        {
            await JsonResponse.WriteAsync(http.Response, error);
        }
        else if (!EventStream.IsIn(http.Response))   // an answer's stream has told it itself; a console opens its own again
        {
            http.Abort(); // half a JSON document is all there is
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "Request {Id}: the client has gone ({Reason})")]
    partial void LogClientGone(string id, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Request {Id} to {Path} failed")]
    partial void LogBug(string id, string path, Exception bug);
}
