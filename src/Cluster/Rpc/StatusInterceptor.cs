using System.Net.Sockets;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Core.Interceptors;
using LlamaCluster.Cluster.Mapping;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>
/// Turns what a service throws into a status. A message that breaks the protocol is INVALID_ARGUMENT, a caller that went away is CANCELLED, and
/// an <see cref="RpcException"/> has its own. Anything else is a bug, which is logged and answered INTERNAL. So is OK in an exception: a call to another
/// process ended while it was being written to. gRPC would answer OK, as if all had been done (findings/grpc-dotnet-exception-that-says-ok.sh).
/// </summary>
public sealed partial class StatusInterceptor(ILogger<StatusInterceptor> logger) : Interceptor
{
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            return await continuation(request, context);
        }
        catch (Exception e) when (!IsRefusal(e))
        {
            throw ToStatus(e, context);
        }
    }

    public override async Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requests, ServerCallContext context, ClientStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            return await continuation(requests, context);
        }
        catch (Exception e) when (!IsRefusal(e))
        {
            throw ToStatus(e, context);
        }
    }

    public override Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responses, ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation) =>
        Guard(() => continuation(request, responses, context), context);

    public override Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requests, IServerStreamWriter<TResponse> responses, ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation) =>
        Guard(() => continuation(requests, responses, context), context);

    async Task Guard(Func<Task> call, ServerCallContext context)
    {
        try
        {
            await call();
        }
        catch (Exception e) when (!IsRefusal(e))
        {
            throw ToStatus(e, context);
        }
    }

    static bool IsRefusal(Exception e) => e is RpcException { StatusCode: not StatusCode.OK };

    RpcException ToStatus(Exception e, ServerCallContext context)
    {
        switch (e)
        {
            case InvalidMessageException:
                LogInvalidMessage(context.Method, context.Peer, e.Message);
                return new RpcException(new Status(StatusCode.InvalidArgument, e.Message));
            case InvalidProtocolBufferException:
                LogInvalidMessage(context.Method, context.Peer, GrpcStatus.Unreadable);
                return new RpcException(new Status(StatusCode.InvalidArgument, GrpcStatus.Unreadable));
            case OperationCanceledException or IOException when context.CancellationToken.IsCancellationRequested:
                return new RpcException(new Status(StatusCode.Cancelled, "the caller went away"));
            case OperationCanceledException:
                return new RpcException(new Status(StatusCode.Unavailable, "the process is stopping"));
            default:
                LogFailed(e, context.Method, context.Peer);
                return new RpcException(new Status(StatusCode.Internal, $"{e.GetType().Name} in {context.Method}: see this process's log"));
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Refused a message to {Method} from {Peer}: {Problem}")]
    partial void LogInvalidMessage(string method, string peer, string problem);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} failed for {Peer}")]
    partial void LogFailed(Exception exception, string method, string peer);
}

/// <summary>Says in one line why a call failed, as close to the cause as is known.</summary>
public static class RpcProblem
{
    public static string Describe(Exception e) => e switch
    {
        RpcException rpc when CauseOf<SocketException>(rpc) is { } socket => OneLine(socket.Message),
        RpcException { Status.Detail: { Length: > 0 } detail } => OneLine(detail),
        RpcException rpc => $"the call ended with {rpc.StatusCode}",
        OperationCanceledException => "no answer in time",
        _ => OneLine(e.Message),
    };

    static T? CauseOf<T>(RpcException e) where T : Exception
    {
        for (var cause = e.Status.DebugException; cause is not null; cause = cause.InnerException)
            if (cause is T found) return found;
        return null;
    }

    static string OneLine(string text) => text.ReplaceLineEndings(" ");
}
