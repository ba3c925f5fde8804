using LlamaCluster.Kernels.Attention;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.Orders;
using Phase = LlamaCluster.Protos.LoadProgress.Types.Phase;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.KvTransfer;

/// <summary>
/// The KV that a shard is to begin with: what this worker kept of its layers, and what other workers have of the rest. It is fetched while the weights are
/// loaded, the last layers first, because what is not there up to the last one is of no use.
/// </summary>
/// <param name="cancellation">Of the loading.</param>
sealed class KvIntake(KvKeeper keeper, KvFetcher fetcher, LoadOrder order, TimeProvider time, CancellationToken cancellation) : IAsyncDisposable
{
    CancellationTokenSource? _late, _ends;
    Task<KeptKv?>? _running;

    /// <summary>What came from others; null: nobody was to be asked.</summary>
    public Wire.KvFetched? Fetched { get; private set; }

    /// <summary>Begins, once it is known how many blocks there is room for. Later calls change nothing.</summary>
    /// <param name="layoutOf">By layer of the shard.</param>
    /// <param name="spare">Bytes that are left for what others fetch here.</param>
    public void Start(Func<int, KvBlockLayout> layoutOf, int blocks, long spare)
    {
        if (_running is not null) return;
        keeper.LimitOffer(spare);
        keeper.Kept?.Blocks.KeepFirst(blocks);
        if (order.KvSources.Count == 0 || order.KvBlocks.Count == 0) return;
        _late = new CancellationTokenSource(order.KvFetchTime, time);
        _ends = CancellationTokenSource.CreateLinkedTokenSource(_late.Token, cancellation);
        Fetched = new Wire.KvFetched();
        var own = keeper.Take();
        var count = Math.Min(blocks, order.KvBlockCount ?? order.KvBlocks.Max() + 1);
        _running = Task.Run(() => RunAsync(own, layoutOf, count, _ends.Token), CancellationToken.None);
    }

    /// <summary>Waits until all has come, or enough was waited. From then on the keeper has it.</summary>
    public async Task CompleteAsync(LoadProgressFeed progress)
    {
        if (_running is null) return;
        if (!_running.IsCompleted) progress.Begin(Phase.FetchingKv, 0);
        keeper.Put(await _running);
        _running = null;
    }

    /// <summary>Ends it, if it was not waited for. The keeper has what came.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_running is not null)
        {
            await _ends!.CancelAsync();
            keeper.Put(await _running);
        }
        _ends?.Dispose();
        _late?.Dispose();
    }

    async Task<KeptKv?> RunAsync(KeptKv? own, Func<int, KvBlockLayout> layoutOf, int blocks, CancellationToken ends)
    {
        KeptKv? got = null;
        foreach (var (layers, source) in PartsOf(own))
        {
            if (layers.End != (got?.Blocks.States.FirstLayer ?? order.Shape.EndLayer)) break;
            KeptKv? next;
            if (source is null) (next, own) = (own, null);
            else next = await FetchAsync(source, WantedOf(got, layoutOf, blocks), ends);
            if (next is null) break;
            got = got is null ? next : KeptKv.Join(next, got);
        }
        if (got is null) return own;
        own?.Dispose();
        return got;
    }

    /// <summary>The last layers first.</summary>
    IEnumerable<(LayerRange Layers, KvSource? Source)> PartsOf(KeptKv? own)
    {
        var parts = order.KvSources.Select(source => (source.Layers, (KvSource?)source));
        if (own?.Blocks.States is { } states) parts = parts.Append((new LayerRange(states.FirstLayer, states.EndLayer - states.FirstLayer), null));
        return parts.OrderByDescending(part => part.Item1.First);
    }

    /// <summary>What is there in the layers above.</summary>
    KvWanted WantedOf(KeptKv? above, Func<int, KvBlockLayout> layoutOf, int blocks)
    {
        var states = above?.Blocks.States;
        bool IsWanted(int block) =>
            block >= 0 && block < Math.Min(blocks, states?.From.Length ?? int.MaxValue) && (states is null || states.From[block] == states.FirstLayer);
        var awaited = order.KvBlocks.Take(order.KvBlocksAwaited).Count(IsWanted);
        return new KvWanted(order, layoutOf, [.. order.KvBlocks.Where(IsWanted)], awaited, blocks);
    }

    async Task<KeptKv?> FetchAsync(KvSource source, KvWanted wanted, CancellationToken ends)
    {
        var fetched = await fetcher.FetchAsync(source, wanted, ends);
        Fetched!.Blocks += (ulong)fetched.Blocks;
        Fetched.Bytes += (ulong)fetched.Bytes;
        Fetched.Missing += (ulong)(wanted.Awaited - fetched.AwaitedBlocks);
        return fetched.Kept;
    }
}
