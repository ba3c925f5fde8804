using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Adapters;
using LlamaCluster.Model.Weights;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.Orders;
using LlamaCluster.Worker.Sources;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Loading;

/// <summary>
/// Loads a shard's parts of adapters. They come from the coordinator, whether or not the model itself is on this machine, through the cache and with the
/// hashes that the coordinator says, as weights do.
/// </summary>
sealed partial class AdapterLoader(
    ModelSource source, PeerChannels channels, ClusterOwner owner, WorkerOptions options, WorkerMemory memory, ILogger logger)
{
    /// <summary>How often parts are fetched again because entries of the cache turned out to be damaged.</summary>
    const int Mendings = 3;

    /// <summary>Bytes that an order's adapters take in memory, and the buffers that a stage has for them.</summary>
    /// <exception cref="InvalidMessageException">The model has no such matrices.</exception>
    public static long BytesOf(LoadOrder order, LlamaConfig config, StageSlice slice) =>
        order.Adapters.Sum(adapter => BytesOf(adapter, order, config, slice))
        + StageMemory.AdapterBufferBytes(config, order.Shape, slice, order.MaxStepRows, order.MaxAdapterRank, order.MaxVocabularyOf(config));

    /// <summary>Bytes that one adapter takes in memory.</summary>
    /// <inheritdoc cref="BytesOf(LoadOrder, LlamaConfig, StageSlice)"/>
    public static long BytesOf(AdapterOrder adapter, LoadOrder order, LlamaConfig config, StageSlice slice) =>
        AdapterParts.Of(adapter.ContentFor(config, order), config, order.Shape, slice).Bytes;

    /// <summary>The adapters of an order.</summary>
    /// <param name="held">What the worker has of an earlier order for the same shard; taken over or disposed of. Null: nothing.</param>
    /// <returns>Null where the order has no place for adapters.</returns>
    /// <exception cref="RpcException">They cannot be loaded. The status says why.</exception>
    public async Task<ShardAdapters?> LoadAsync(
        LoadOrder order, HeldModel model, ShardAdapters? held, LoadProgressFeed progress, CancellationToken cancellation)
    {
        using var before = held;
        if (order.MaxAdapterRank == 0) return null;
        var adapters = new ShardAdapters(order.MaxAdapterRank, order.MaxVocabularyOf(model.Weights.Config));
        try
        {
            foreach (var adapter in order.Adapters)
                if (adapters.Find(adapter.Id) is null)
                    adapters.Add(adapter.Id, before?.Remove(adapter.Id) ?? await LoadAsync(adapter, order, model, progress, cancellation));
            return adapters;
        }
        catch
        {
            adapters.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Changes the adapters of a shard that runs, beside its steps. Those that are to go are taken out first; sequences that use one keep it. If one cannot be
    /// loaded, those that were there and are to stay do so.
    /// </summary>
    /// <param name="held">Those of the shard. Null: it has no place for any.</param>
    /// <returns>The shard with the change's adapters.</returns>
    /// <exception cref="RpcException">One cannot be loaded, or they do not fit. The status says why.</exception>
    public async Task<HeldShard> ChangeAsync(
        HeldShard shard, AdapterChange change, ShardAdapters? held, LoadProgressFeed progress, CancellationToken cancellation)
    {
        if (held is null) throw new RpcException(new Status(StatusCode.FailedPrecondition, "this shard has no place for adapters"));
        var order = shard.Order with { Adapters = change.Adapters };
        var others = shard.ResidentBytes - BytesOf(shard.Order, shard.Model.Weights.Config, shard.Model.Ranges);
        var (needed, left) = (BytesOf(order, shard.Model.Weights.Config, shard.Model.Ranges), memory.Bytes - others);
        if (needed > left)
            throw new RpcException(new Status(StatusCode.ResourceExhausted,
                $"adapters take {needed} bytes here, and {left} are left for them: weights, KV cache and buffers take {others} of {memory.Bytes}; "
                + $"{Fitting(shard, left)} would fit; unload adapters, keep more room for them (--lora-room of the coordinator), "
                + "or give the worker more --memory"));
        foreach (var id in held.Ids.Except(order.Adapters.Select(adapter => adapter.Id))) held.Remove(id)?.Dispose();
        foreach (var adapter in order.Adapters)
            if (held.Find(adapter.Id) is null) held.Add(adapter.Id, await LoadAsync(adapter, order, shard.Model, progress, cancellation));
        LogChanged(order.Plan.ViewVersion, held.Ids.Count, held.Bytes);
        return shard with { Order = order, AdapterChange = change.Number, ResidentBytes = others + needed };
    }

    /// <summary>What could still be loaded beside the adapters that there are.</summary>
    static string Fitting(HeldShard shard, long left)
    {
        var (config, order) = (shard.Model.Weights.Config, shard.Order);
        long Of(int rank) => AdapterParts.Of(AdapterContent.OnAllMatrices(config, rank), config, order.Shape, shard.Model.Ranges).Bytes;
        var free = left - BytesOf(order, config, shard.Model.Ranges);
        var rank = (int)Math.Min(order.MaxAdapterRank, Math.Max(0, free) / Of(1));   // rounding to cache lines makes the first rank dearer than others
        return rank == 0 || Of(rank) > free ? "none" : $"one of rank {rank} in F16 on all matrices";
    }

    /// <exception cref="RpcException">It cannot be loaded. The status says why.</exception>
    public async Task<ShardAdapter> LoadAsync(
        AdapterOrder adapter, LoadOrder order, HeldModel model, LoadProgressFeed progress, CancellationToken cancellation)
    {
        var config = model.Weights.Config;
        var content = adapter.ContentFor(config, order);
        var parts = AdapterParts.Of(content, config, order.Shape, model.Ranges);
        TensorPart[] tensors = [.. parts.Tensors];
        using var coordinator = new CoordinatorWeights(channels, owner, options, order, adapter.Digest);
        using var opened = source.OpenAdapter(coordinator, config, [.. content.Tensors]);
        using var nothing = new LoadedParts();
        for (var mendings = 0; ; mendings++)
        {
            await (await opened.ObtainAsync(tensors, nothing, progress, cancellation)).All;
            var (loaded, problem) = await TryReadAsync(opened, parts, tensors, order.Shape, progress, cancellation);
            if (loaded is not null) return loaded;
            if (mendings == Mendings) throw new RpcException(new Status(StatusCode.DataLoss, $"adapter {adapter.Digest}: {problem}"));
        }
    }

    /// <returns>The adapter. Or, in one line, what is wrong with the cache, which has been mended as far as it could.</returns>
    static async Task<(ShardAdapter? Loaded, string? Problem)> TryReadAsync(
        OpenedModel opened, AdapterParts parts, TensorPart[] tensors, StageShape shape, LoadProgressFeed progress, CancellationToken cancellation)
    {
        var expected = await opened.HashesAsync(tensors, progress, cancellation);
        var found = new Dictionary<TensorPart, string>();
        try
        {
            var loaded = await Task.Run(() => ShardAdapter.Load(opened.Weights, parts, shape, found, cancellation), cancellation);
            TensorPart[] wrong = [.. tensors.Where(part => expected.GetValueOrDefault(part) != found[part])];
            if (wrong.Length == 0) return (loaded, null);
            loaded.Dispose();
            opened.Refuse(wrong);
            return (null, $"tensor {wrong[0].Tensor.Name} holds other bytes than the coordinator's");
        }
        catch (ModelFormatException e)
        {
            await Task.Run(() => opened.TryMend(cancellation), cancellation);
            return (null, e.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "View {ViewVersion} has {Count} adapters from now on, {Bytes} bytes")]
    partial void LogChanged(ulong viewVersion, int count, long bytes);
}
