using LlamaCluster.Model.Config;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Model.Sequences;

namespace LlamaCluster.Worker.Loading;

/// <summary>The weights of one shard, packed and in memory. They outlive views: each view gets a stage of its own.</summary>
interface IShardModel : IDisposable
{
    LlamaConfig Config { get; }

    StageShape Shape { get; }

    /// <summary>Of weights in memory.</summary>
    long Bytes { get; }

    /// <summary>What one KV block takes, over all layers of the shard.</summary>
    long BytesPerBlock(StageOptions options);

    /// <summary>What a stage's buffers take.</summary>
    long BufferBytes(StageOptions options);

    /// <summary>One stage at a time.</summary>
    /// <param name="exchange">How it meets the other ranks; null where there are none.</param>
    IStage CreateStage(StageOptions options, IRankExchange? exchange);
}
