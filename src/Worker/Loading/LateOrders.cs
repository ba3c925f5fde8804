using Grpc.Core;
using LlamaCluster.Worker.Orders;

namespace LlamaCluster.Worker.Loading;

/// <summary>Refuses what comes late: it must not end a view that is newer, or change one back.</summary>
static class LateOrders
{
    /// <param name="last">The last view that was accepted.</param>
    /// <exception cref="RpcException">FAILED_PRECONDITION: the view is not above it.</exception>
    public static void CheckIsAbove(ulong view, ulong last)
    {
        if (view <= last) throw Late($"view {view} is not above {last}, the last one accepted here");
    }

    /// <param name="current">The shard that is ready; null: none is.</param>
    /// <param name="last">The last view that was accepted.</param>
    /// <returns>The shard that the change is for.</returns>
    /// <exception cref="RpcException">FAILED_PRECONDITION: its view does not run here, or has had a later change.</exception>
    public static HeldShard CheckRuns(AdapterChange change, HeldShard? current, ulong last)
    {
        if (last != change.ViewVersion || current is null) throw Late($"view {change.ViewVersion} does not run here; {last} is the last one accepted");
        if (change.Number <= current.AdapterChange)
            throw Late($"change {change.Number} of adapters is not above {current.AdapterChange}, the last one made here");
        return current;
    }

    static RpcException Late(string problem) => new(new Status(StatusCode.FailedPrecondition, problem));
}
