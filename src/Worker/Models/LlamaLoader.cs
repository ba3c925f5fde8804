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

    public IReadOnlyList<TensorPart> PartsOf(IReadOnlyList<TensorInfo> all, StageShape shape, StageSlice slice, LlamaConfig config) =>
        new ShardParts(config, shape, slice).Of(all);

    public long BytesToLoad(IModelWeights weights, StageShape shape, StageSlice slice) =>
        ShardParts.Held(weights, shape, slice).Of(weights.Tensors).Sum(part => part.Bytes);

    public IShardModel Load(IModelWeights weights, StageShape shape, StageSlice slice, IProgress<long> bytesLoaded, CancellationToken cancellation) =>
        new LlamaShard(weights.Config, ShardWeights.Load(weights, shape, slice, threads, bytesLoaded, cancellation), shape, threads);

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
