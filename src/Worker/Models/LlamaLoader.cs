using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Model.Weights;

namespace LlamaCluster.Worker.Models;

/// <summary>Loads shards of a Llama. Loading and steps use the worker's compute threads in turn.</summary>
sealed class LlamaLoader(ComputeThreads threads) : IModelLoader
{
    public string InstructionSet { get; } = KernelWidths.Chosen.ToString().ToLowerInvariant();

    public int Threads => threads.Count;

    public IReadOnlyList<TensorPart> PartsOf(IModelWeights weights, StageShape shape, StageSlice slice) =>
        ShardParts.Held(weights, shape, slice).Of(weights.Tensors);

    public ShardMemory MemoryOf(IModelWeights weights, StageShape shape, StageSlice slice, StageOptions options) => new(
        ShardWeights.BytesOf(PartsOf(weights, shape, slice)),
        StageMemory.BufferBytes(weights.Config, shape, slice, options.MaxStepRows),
        StageMemory.KvBytesPerBlock(weights.Config, shape, slice, options.KvType));

    public IShardModel Load(
        IModelWeights weights, StageShape shape, StageSlice slice, LoadedParts parts, bool hashes, IProgress<long> bytesLoaded,
        CancellationToken cancellation) =>
        new LlamaShard(weights.Config, ShardWeights.Load(weights, shape, slice, threads, parts, hashes, bytesLoaded, cancellation), shape, threads);

    sealed class LlamaShard(LlamaConfig config, ShardWeights weights, StageShape shape, ComputeThreads threads) : IShardModel
    {
        public LlamaConfig Config => config;

        public StageShape Shape => shape;

        public long Bytes => weights.Bytes;

        public long BytesPerBlock(StageOptions options) => StageMemory.KvBytesPerBlock(config, shape, weights.Slice, options.KvType);

        public long BufferBytes(StageOptions options) => StageMemory.BufferBytes(config, shape, weights.Slice, options.MaxStepRows);

        public IStage CreateStage(StageOptions options, IRankExchange? exchange) => new StageRunner(config, weights, shape, options, threads, exchange);

        public void Dispose() => weights.Dispose();
    }
}
