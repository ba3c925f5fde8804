using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>Who may call a method of a gRPC service. A method without this attribute is open to all; its messages must be small.</summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
public sealed class CalledByAttribute(Caller caller) : Attribute
{
    public Caller Caller => caller;
}

/// <summary>Who a caller shows itself to be, by the key in its call's headers.</summary>
public enum Caller
{
    /// <summary>The coordinator that this worker is registered with.</summary>
    Coordinator,

    /// <summary>A worker of the same view.</summary>
    SameView,

    /// <summary>A worker that the coordinator has sent to measure the way to this one.</summary>
    LinkMeter,

    /// <summary>A worker that the coordinator has told to fetch KV of this one.</summary>
    KvFetcher,

    /// <summary>A worker that the coordinator has told to fetch weights of this one.</summary>
    WeightsFetcher,

    /// <summary>A worker that is registered with this coordinator.</summary>
    RegisteredWorker,

    /// <summary>Another coordinator of the same cluster.</summary>
    OtherCoordinator,
}

/// <summary>Knows the keys that callers of this process may show.</summary>
public interface ICallerKeys
{
    /// <returns>Null if the call may go on. Else why not, in one line.</returns>
    string? FirstProblem(Caller expected, IHeaderDictionary headers);
}

/// <summary>
/// Refuses calls without the right key with UNAUTHENTICATED, before anything of their messages is read. So nobody who merely reaches the port can
/// fill this process's memory with large messages.
/// </summary>
static partial class CallerRules
{
    public static IApplicationBuilder UseCallerRules(this IApplicationBuilder app)
    {
        var keys = app.ApplicationServices.GetService<ICallerKeys>();
        var logger = app.ApplicationServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(CallerRules).FullName!);
        return app.Use((http, next) =>
        {
            if (http.GetEndpoint()?.Metadata.GetMetadata<CalledByAttribute>() is not { Caller: var expected }) return next(http);
            if (keys is null) throw new InvalidOperationException($"{http.Request.Path} asks for a key, but this process has no {nameof(ICallerKeys)}");
            if (keys.FirstProblem(expected, http.Request.Headers) is not { } problem) return next(http);
            LogRefused(logger, http.Request.Path, $"{http.Connection.RemoteIpAddress}:{http.Connection.RemotePort}", problem);
            GrpcStatus.Answer(http.Response, Grpc.Core.StatusCode.Unauthenticated, problem);
            return Task.CompletedTask;
        });
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Refused a call of {Method} from {Peer}: {Problem}")]
    static partial void LogRefused(ILogger logger, string method, string peer, string problem);
}
