using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.Loading;
using LlamaCluster.Worker.Orders;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Services;

/// <summary>Takes orders to load a shard, and tells how it goes until it is ready.</summary>
[CalledBy(Caller.Coordinator)]
sealed partial class AssignmentsService(ShardKeeper shards, ClusterOwner owner, TimeProvider time, ILogger<AssignmentsService> logger)
    : Wire.Assignments.AssignmentsBase
{
    public override Task Assign(Wire.AssignRequest request, IServerStreamWriter<Wire.LoadProgress> responses, ServerCallContext context)
        => FollowAsync(request, shards.ReplaceAsync, responses, context);

    public override Task Prepare(Wire.AssignRequest request, IServerStreamWriter<Wire.LoadProgress> responses, ServerCallContext context)
        => FollowAsync(request, shards.PrepareAsync, responses, context);

    async Task FollowAsync(
        Wire.AssignRequest request, Func<LoadOrder, LoadProgressFeed, CancellationToken, Task> load, IServerStreamWriter<Wire.LoadProgress> responses,
        ServerCallContext context)
    {
        var order = request.ToOrder();
        if (order.Epoch != owner.Epoch)
            throw new RpcException(new Status(StatusCode.FailedPrecondition, $"the order is of epoch {order.Epoch}; this worker belongs to epoch {owner.Epoch}"));
        var progress = new LoadProgressFeed(order.Plan.ViewVersion, order.Plan.ModelDigest, time);
        var loading = LoadAsync(order, load, progress, context.CancellationToken);
        try
        {
            await foreach (var news in progress.ReadAllAsync(context.CancellationToken))
                await responses.WriteAsync(news, context.CancellationToken);
        }
        finally
        {
            await loading;
        }
    }

    async Task LoadAsync(LoadOrder order, Func<LoadOrder, LoadProgressFeed, CancellationToken, Task> load, LoadProgressFeed progress, CancellationToken cancellation)
    {
        try
        {
            await load(order, progress, cancellation);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested && shards.ViewVersion > order.Plan.ViewVersion)
        {
            throw new RpcException(new Status(StatusCode.Aborted, $"view {order.Plan.ViewVersion} was replaced by view {shards.ViewVersion} while it was loading"));
        }
        catch (Exception e) when (LoadFailures.ToStatus(e) is { } status)
        {
            LogLoadFailed(order.Plan.ViewVersion, status.Detail);
            throw new RpcException(status);
        }
        finally
        {
            progress.Complete();
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Could not load the shard of view {ViewVersion}: {Problem}")]
    partial void LogLoadFailed(ulong viewVersion, string problem);
}

/// <summary>
/// Errors of loading that are no bugs, as a status with one line. The status is never UNAVAILABLE, which would say that this worker is gone.
/// It is alive and may do better the next time (ABORTED).
/// </summary>
static class LoadFailures
{
    /// <summary>Null for a bug.</summary>
    public static Status? ToStatus(Exception e) => e switch
    {
        RpcException rpc => rpc.Status,
        ModelFormatException => new Status(StatusCode.DataLoss, e.Message),
        OutOfMemoryException => new Status(StatusCode.ResourceExhausted, "this machine has less memory than the shard takes"),
        TimeoutException or IOException or UnauthorizedAccessException => new Status(StatusCode.Aborted, e.Message),
        _ => null,
    };
}
