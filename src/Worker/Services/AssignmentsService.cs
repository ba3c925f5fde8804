using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.Loading;
using LlamaCluster.Worker.Orders;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Services;

/// <summary>Takes orders to load a shard, or adapters beside it, and tells how it goes until they are ready.</summary>
[CalledBy(Caller.Coordinator)]
sealed partial class AssignmentsService(ShardKeeper shards, ClusterOwner owner, TimeProvider time, ILogger<AssignmentsService> logger)
    : Wire.Assignments.AssignmentsBase
{
    public override Task Assign(Wire.AssignRequest request, IServerStreamWriter<Wire.LoadProgress> responses, ServerCallContext context)
        => FollowAsync(request, shards.ReplaceAsync, responses, context);

    public override Task Prepare(Wire.AssignRequest request, IServerStreamWriter<Wire.LoadProgress> responses, ServerCallContext context)
        => FollowAsync(request, shards.PrepareAsync, responses, context);

    public override Task SetAdapters(Wire.SetAdaptersRequest request, IServerStreamWriter<Wire.LoadProgress> responses, ServerCallContext context)
    {
        var change = request.ToChange();
        return FollowAsync(
            change.Epoch, change.ViewVersion, "", (progress, cancellation) => shards.AdaptAsync(change, progress, cancellation), responses, context);
    }

    Task FollowAsync(
        Wire.AssignRequest request, Func<LoadOrder, LoadProgressFeed, CancellationToken, Task> load, IServerStreamWriter<Wire.LoadProgress> responses,
        ServerCallContext context)
    {
        var order = request.ToOrder();
        return FollowAsync(
            order.Epoch, order.Plan.ViewVersion, order.Plan.ModelDigest, (progress, cancellation) => load(order, progress, cancellation), responses, context);
    }

    async Task FollowAsync(
        ulong epoch, ulong viewVersion, string modelDigest, Func<LoadProgressFeed, CancellationToken, Task> load,
        IServerStreamWriter<Wire.LoadProgress> responses, ServerCallContext context)
    {
        if (epoch != owner.Epoch)
            throw new RpcException(new Status(StatusCode.FailedPrecondition, $"the order is of epoch {epoch}; this worker belongs to epoch {owner.Epoch}"));
        owner.Signs.Heard();
        var progress = new LoadProgressFeed(viewVersion, modelDigest, time);
        var loading = LoadAsync(viewVersion, load, progress, context.CancellationToken);
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

    async Task LoadAsync(ulong viewVersion, Func<LoadProgressFeed, CancellationToken, Task> load, LoadProgressFeed progress, CancellationToken cancellation)
    {
        try
        {
            await load(progress, cancellation);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested && shards.ViewVersion > viewVersion)
        {
            throw new RpcException(new Status(StatusCode.Aborted, $"view {viewVersion} was replaced by view {shards.ViewVersion} while it was loading"));
        }
        catch (Exception e) when (LoadFailures.ToStatus(e) is { } status)
        {
            LogLoadFailed(viewVersion, status.Detail);
            throw new RpcException(status);
        }
        finally
        {
            progress.Complete();
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Could not load what view {ViewVersion} needs: {Problem}")]
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
        RpcException { StatusCode: not StatusCode.OK } rpc => rpc.Status,
        ModelFormatException => new Status(StatusCode.DataLoss, e.Message),
        OutOfMemoryException => new Status(StatusCode.ResourceExhausted, "this machine has less memory than the shard takes"),
        TimeoutException or IOException or UnauthorizedAccessException => new Status(StatusCode.Aborted, e.Message),
        _ => null,
    };
}
