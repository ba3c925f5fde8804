using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Model.Weights;

namespace LlamaCluster.Worker.Models;

/// <summary>What the worker needs of the model's code: it turns stored weights into packed ones. Tests put a fake in its place.</summary>
interface IModelLoader
{
    /// <summary>The kernels' width on this machine, e.g. "avx512".</summary>
    string InstructionSet { get; }

    /// <summary>How many threads share the work of a step.</summary>
    int Threads { get; }

    /// <summary>The parts of tensors that a rank of a stage holds in memory.</summary>
    IReadOnlyList<TensorPart> PartsOf(IModelWeights weights, StageShape shape, StageSlice slice);

    /// <summary>What a shard will take, before any of it is read.</summary>
    ShardMemory MemoryOf(IModelWeights weights, StageShape shape, StageSlice slice, StageOptions options);

    /// <summary>Reads and packs a rank's parts of a stage's tensors. Blocks the calling thread for as long as it takes.</summary>
    /// <param name="parts">
    /// What is in memory already, of the same model. Gets what is read, also if the loading breaks off. Parts of no use for this shard are freed.
    /// </param>
    /// <param name="hashes">Whether what is read is hashed.</param>
    /// <param name="bytesLoaded">Gets how many stored bytes are done so far.</param>
    /// <exception cref="ModelFormatException">The weights cannot be read.</exception>
    IShardModel Load(
        IModelWeights weights, StageShape shape, StageSlice slice, LoadedParts parts, bool hashes, IProgress<long> bytesLoaded, CancellationToken cancellation);
}

/// <summary>Bytes that a shard takes.</summary>
/// <param name="KvBlock">One KV block, over all layers of the shard.</param>
sealed record ShardMemory(long Weights, long Buffers, long KvBlock);

/// <summary>The weights of one shard, packed and in memory. They outlive views: each view gets a stage of its own.</summary>
interface IShardModel : IDisposable
{
    LlamaConfig Config { get; }

    StageShape Shape { get; }

    /// <summary>Bytes of weights in memory.</summary>
    long Bytes { get; }

    /// <summary>Bytes of one KV block, over all layers of the shard.</summary>
    long BytesPerBlock(StageOptions options);

    /// <summary>Bytes of a stage's buffers.</summary>
    long BufferBytes(StageOptions options);

    /// <summary>Makes the stage of one view. There is one at a time.</summary>
    /// <param name="exchange">How it exchanges sums with the other ranks. Null where there are none.</param>
    IStage CreateStage(StageOptions options, IRankExchange? exchange);
}
