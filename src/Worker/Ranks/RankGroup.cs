using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.Peers;

namespace LlamaCluster.Worker.Ranks;

/// <summary>
/// This worker's place among the ranks of its stage, for one view. It calls the lower ranks and is called by the higher ones. Then it has a
/// link to each, which its exchange uses.
/// </summary>
sealed class RankGroup : IAsyncDisposable
{
    readonly ShardAssignment[] _ranks;
    readonly RankCaller _caller;
    readonly TaskCompletionSource<ChosenLink>[] _links;
    volatile string? _closed;

    /// <param name="ranks">All of the stage, in order.</param>
    public RankGroup(GroupShape shape, ReadOnlySpan<ShardAssignment> ranks, RankCaller caller)
    {
        (Shape, _ranks, _caller, Exchange) = (shape, [.. ranks], caller, new RankExchange(shape));
        _links = [.. _ranks.Select(_ => new TaskCompletionSource<ChosenLink>(TaskCreationOptions.RunContinuationsAsynchronously))];
    }

    /// <summary>The most bytes that links and open sums take. Sums of more than two ranks are copied while they are open.</summary>
    public static long Bytes(int rankCount, int maxStepRows, int hiddenSize) =>
        (rankCount - 1) * IPeerLink.BufferBytes + (rankCount > 2 ? (long)maxStepRows * hiddenSize * sizeof(float) : 0);

    public GroupShape Shape { get; }

    /// <summary>Can be used once <see cref="ConnectAsync"/> has completed.</summary>
    public RankExchange Exchange { get; }

    /// <summary>Takes over a link to another rank. False if there is one already, or the view is over: the caller keeps the link then.</summary>
    public bool TryAttach(int rank, ChosenLink link)
    {
        if (_closed is not null || !_links[rank].TrySetResult(link)) return false;
        // The group may have been closed meanwhile. Whichever of the two came second sees the other.
        if (_closed is { } reason) link.Close(reason);
        return true;
    }

    /// <summary>Links to all other ranks.</summary>
    /// <exception cref="PeerLinkException">A rank refused, or its link broke.</exception>
    /// <exception cref="Grpc.Core.RpcException">A lower rank cannot be reached, or refused.</exception>
    /// <exception cref="OperationCanceledException">A rank took too long.</exception>
    public async Task ConnectAsync(CancellationToken cancellation)
    {
        var others = Enumerable.Range(0, Shape.RankCount).Where(rank => rank != Shape.Rank);
        var links = await Task.WhenAll(others.Select(rank => LinkToAsync(rank, cancellation)));
        Exchange.Connect([.. links[..Shape.Rank], null, .. links[Shape.Rank..]]);
    }

    /// <summary>Ends all links. Whoever waits on one is told why.</summary>
    public void Close(string reason)
    {
        if (Interlocked.CompareExchange(ref _closed, reason, null) is not null) return;
        foreach (var link in _links)
            if (!link.TrySetException(new PeerLinkException(reason)) && link.Task.IsCompletedSuccessfully) link.Task.Result.Close(reason);
    }

    /// <summary>To be called after the thread that uses the exchange has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        Close($"view {Shape.ViewVersion} is over");
        foreach (var link in _links)
            if (link.Task.IsCompletedSuccessfully) await link.Task.Result.DisposeAsync();
            else _ = link.Task.Exception;
    }

    async Task<ChosenLink> LinkToAsync(int rank, CancellationToken cancellation)
    {
        if (rank > Shape.Rank) return await AwaitAsync(rank, cancellation);
        var link = await _caller.CallAsync(Shape, _ranks[rank], cancellation);
        if (TryAttach(rank, link)) return link;
        await link.DisposeAsync();
        throw new PeerLinkException(_closed ?? $"there was a link to rank {rank} before");
    }

    async Task<ChosenLink> AwaitAsync(int rank, CancellationToken cancellation)
    {
        try
        {
            return await _links[rank].Task.WaitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            throw new PeerLinkException($"rank {rank} ({PeerAddress.Format(_ranks[rank].Address)}) has not called");
        }
    }
}
