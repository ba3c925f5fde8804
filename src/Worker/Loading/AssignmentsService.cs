using Grpc.Core;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Loading;

/// <summary>Takes orders to load a shard, and tells how it goes until it is ready.</summary>
sealed partial class AssignmentsService(ShardKeeper shards, TimeProvider time, ILogger<AssignmentsService> logger) : Wire.Assignments.AssignmentsBase
{
    public override async Task Assign(Wire.AssignRequest request, IServerStreamWriter<Wire.LoadProgress> responses, ServerCallContext context)
    {
        var order = request.ToOrder();
        var progress = new LoadProgressFeed(order.Plan.ViewVersion, order.Plan.ModelDigest, time);
        var loading = LoadAsync(order, progress, context.CancellationToken);
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

    async Task LoadAsync(LoadOrder order, LoadProgressFeed progress, CancellationToken cancellation)
    {
        try
        {
            await shards.ReplaceAsync(order, progress, cancellation);
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
}
