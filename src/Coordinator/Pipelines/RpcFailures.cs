using Grpc.Core;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>The one place where the status of a broken call becomes a failure of a worker.</summary>
static class RpcFailures
{
    /// <summary>A worker that went away, or one that refused.</summary>
    public static PipelineFailure ToFailure(this RpcException e, StageWorker worker) => e switch
    {
        { StatusCode: StatusCode.DeadlineExceeded } => worker.Lost("it did not answer in time"),
        { StatusCode: StatusCode.Unavailable } or { Status.DebugException: not null } => worker.Lost(Reason(e.Status)),
        _ => worker.Failed($"{e.StatusCode}: {OneLine(e.Status.Detail)}"),
    };

    static string Reason(Status status) => status.DebugException?.InnerException is System.Net.Sockets.SocketException socket
        ? OneLine(socket.Message)
        : status.DebugException is null ? OneLine(status.Detail) : "its connection broke";

    static string OneLine(string text) => text.ReplaceLineEndings(" ");
}
