using System.Globalization;
using Google.Protobuf;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>Statuses of gRPC calls that no service answers, as the protocol writes them into headers and trailers.</summary>
static partial class GrpcStatus
{
    /// <summary>
    /// Answers a message that is no protobuf with INVALID_ARGUMENT. gRPC itself reads a call's first message before any interceptor runs, and would
    /// answer UNKNOWN and log a bug.
    /// </summary>
    public static IApplicationBuilder UseUnreadableMessageStatus(this IApplicationBuilder app)
    {
        var logger = app.ApplicationServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(GrpcStatus).FullName!);
        return app.Use(async (http, next) =>
        {
            await next(http);
            if (http.Features.Get<IServerCallContextFeature>()?.ServerCallContext is not { Status: { StatusCode: StatusCode.Unknown } status } call) return;
            if (status.DebugException is not InvalidProtocolBufferException and not InvalidDataException) return;
            LogUnreadable(logger, call.Method, call.Peer);
            Answer(http.Response, StatusCode.InvalidArgument, Unreadable);
        });
    }

    /// <summary>What a caller is told whose message cannot be read.</summary>
    public const string Unreadable = "the message cannot be read as protobuf";

    /// <summary>Sets the status of a call, in place of one that was set before.</summary>
    /// <param name="detail">One line.</param>
    public static void Answer(HttpResponse response, StatusCode code, string detail)
    {
        if (!response.HasStarted) response.ContentType = "application/grpc";
        var fields = response.HasStarted ? response.HttpContext.Features.Get<IHttpResponseTrailersFeature>()?.Trailers : response.Headers;
        if (fields is not { IsReadOnly: false }) return;
        fields["grpc-status"] = ((int)code).ToString(CultureInfo.InvariantCulture);
        fields["grpc-message"] = Uri.EscapeDataString(detail);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Refused a message to {Method} from {Peer}: it cannot be read as protobuf")]
    static partial void LogUnreadable(ILogger logger, string method, string peer);
}
