using System.Net.Sockets;
using Grpc.Core;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>What went wrong with a call, for people: one line, as close to the cause as is known.</summary>
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
