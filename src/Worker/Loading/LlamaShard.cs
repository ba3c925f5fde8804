using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Model.Weights;

namespace LlamaCluster.Worker.Loading;

/// <summary>A shard of a Llama.</summary>
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
