using Grpc.Core;
using LlamaCluster.Primitives;

namespace LlamaCluster.Worker.Loading;

/// <summary>
/// What can go wrong while loading through no fault of the program, as a status with one line. Never UNAVAILABLE: that would say that
/// this worker is gone, where it is alive and may do better the next time (ABORTED).
/// </summary>
static class LoadFailures
{
    /// <summary>Null for what is a bug.</summary>
    public static Status? ToStatus(Exception e) => e switch
    {
        RpcException rpc => rpc.Status,
        ModelFormatException => new Status(StatusCode.DataLoss, e.Message),
        OutOfMemoryException => new Status(StatusCode.ResourceExhausted, "this machine has not the memory that the shard takes"),
        TimeoutException or IOException or UnauthorizedAccessException => new Status(StatusCode.Aborted, e.Message),
        _ => null,
    };
}
