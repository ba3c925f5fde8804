using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Inference;

namespace LlamaCluster.Worker.Loading;

/// <summary>A shard of a Llama.</summary>
sealed class LlamaShard(LlamaConfig config, ShardWeights weights, StageShape shape, ComputeThreads threads) : IShardModel
{
    public LlamaConfig Config => config;

    public StageShape Shape => shape;

    public long Bytes => weights.Bytes;

    public long BytesPerBlock(StageOptions options) => StageMemory.KvBytesPerBlock(config, shape, options.KvType);

    public long BufferBytes(StageOptions options) => StageMemory.BufferBytes(config, shape, options.MaxStepRows);

    public IStage CreateStage(StageOptions options) => new StageRunner(config, weights, shape, options, threads);

    public void Dispose() => weights.Dispose();
}
