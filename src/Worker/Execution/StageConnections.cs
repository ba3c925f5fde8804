using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.Peers;
using LlamaCluster.Worker.Ranks;
using static LlamaCluster.Protos.StepFailed.Types;

namespace LlamaCluster.Worker.Execution;

/// <summary>What joins a stage to the other workers of a view.</summary>
/// <param name="Inbox">For activations of the stage before. Null on the first stage.</param>
/// <param name="Group">The other ranks of the stage. Null if there are none.</param>
/// <param name="Next">To those workers of the next stage that this one feeds.</param>
sealed record StageConnections(ActivationInbox? Inbox, RankGroup? Group, IReadOnlyList<ActivationSender> Next) : IAsyncDisposable
{
    /// <summary>Its number, for traces.</summary>
    public int Stage { get; init; }

    /// <summary>Connects to the next stage, if there is one, and to the other ranks of this one. Null when steps can come.</summary>
    /// <param name="ending">Why the view is over, once it is.</param>
    public async Task<StepFailure?> ConnectAsync(Func<StepFailure?> ending, CancellationToken cancellation)
    {
        var connecting = Next.Select(next => ConnectAsync(next, ending, cancellation)).Append(ConnectGroupAsync(ending, cancellation));
        return (await Task.WhenAll(connecting)).OfType<StepFailure>().FirstOrDefault();
    }

    /// <summary>Whoever waits for one of the others is told why nothing comes any more.</summary>
    public void Close(string reason)
    {
        Inbox?.Close(reason);
        Group?.Close(reason);
        foreach (var next in Next) next.Close();
    }

    public async ValueTask DisposeAsync()
    {
        if (Inbox is not null) await Inbox.DisposeAsync();
        foreach (var next in Next) await next.DisposeAsync();
        if (Group is not null) await Group.DisposeAsync();
    }

    static async Task<StepFailure?> ConnectAsync(ActivationSender next, Func<StepFailure?> ending, CancellationToken cancellation)
    {
        try
        {
            await next.ConnectAsync(cancellation);
            return null;
        }
        catch (Exception e) when (ending() is not null && e is ObjectDisposedException or OperationCanceledException)
        {
            return ending();
        }
        catch (Exception e) when (e is RpcException or PeerLinkException or OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            return new StepFailure(Reason.PeerLost, $"cannot reach the next stage at {PeerAddress.Format(next.Address)}: {RpcProblem.Describe(e)}");
        }
    }

    async Task<StepFailure?> ConnectGroupAsync(Func<StepFailure?> ending, CancellationToken cancellation)
    {
        if (Group is null) return null;
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(RpcSettings.CallDeadline);
        try
        {
            await Group.ConnectAsync(deadline.Token);
            return null;
        }
        catch (Exception e) when (e is RpcException or PeerLinkException or InvalidMessageException or IOException
            or OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            return ending() ?? new StepFailure(Reason.PeerLost, $"cannot link to the other ranks of the stage: {RpcProblem.Describe(e)}");
        }
    }
}
