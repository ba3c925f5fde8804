using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Weights;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.Models;
using LlamaCluster.Worker.Orders;
using LlamaCluster.Worker.Sources;

namespace LlamaCluster.Worker.Loading;

/// <summary>A shard that is loaded for a view, and what runs it.</summary>
/// <param name="KvBlockBytes">Bytes of one block, over all layers of the shard.</param>
/// <param name="ResidentBytes">Weights, adapters, KV cache and buffers.</param>
sealed record HeldShard(LoadOrder Order, HeldModel Model, StageExecutor Executor, int KvBlockCount, long KvBlockBytes, long ResidentBytes)
{
    /// <summary>What it goes on with of earlier views' KV, for the coordinator. Null: nothing.</summary>
    public Protos.KeptKv? Kept { get; init; }

    /// <summary>The last change of its adapters; 0: they are the order's.</summary>
    public ulong AdapterChange { get; init; }
}

/// <summary>The weights of a shard that this worker has in memory, and where they came from.</summary>
/// <param name="Slice">Which slice of the layers they are.</param>
/// <param name="Ranges">The same, in the model's own numbers.</param>
/// <param name="Source">See <see cref="OpenedModel.Source"/>.</param>
/// <param name="Parts">What the shard is made of.</param>
/// <param name="Entries">
/// Where they came from. Keeps the shard's entries of the cache in use, so that they are there when the worker starts again, and for others. Null: it need
/// not stay open.
/// </param>
sealed record HeldModel(
    IShardModel Weights, TensorSlice Slice, StageSlice Ranges, string Digest, string Source, IReadOnlyList<TensorPart> Parts, OpenedModel? Entries)
    : IDisposable
{
    /// <summary>Whether an order asks for these weights as they are.</summary>
    public bool Fits(LoadOrder order) => Digest == order.Plan.ModelDigest && Shape == order.Shape && Slice == order.Assignment.Shard.Slice;

    public StageShape Shape => Weights.Shape;

    /// <summary>Of a KV block, by layer of the shard.</summary>
    public Func<int, KvBlockLayout> LayoutsOf(LoadOrder order) => layer => StageMemory.KvLayoutOf(Weights.Config, Ranges, layer, order.KvType);

    public void Dispose()
    {
        Weights.Dispose();
        Entries?.Dispose();
    }
}

/// <summary>The parts of one model that this worker has in memory, of a shard, of the one before, or of one whose loading broke off.</summary>
sealed record HeldParts(string Digest, LoadedParts Loaded) : IDisposable
{
    public void Dispose() => Loaded.Dispose();
}

/// <summary>What a worker says about its shard in heartbeats and at registration.</summary>
/// <param name="ViewVersion">The last view that was accepted. 0: none.</param>
/// <param name="HeldDigest">The model of the weights in memory. Null: none.</param>
sealed record ShardStatus(Protos.WorkerState State, ulong ViewVersion, string? HeldDigest, Shard? Shard, long ResidentBytes);
