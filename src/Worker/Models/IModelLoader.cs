using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Model.Sequences;

namespace LlamaCluster.Worker.Models;

/// <summary>What the worker needs of the model's code: it turns stored weights into packed ones. Tests put a fake in its place.</summary>
interface IModelLoader
{
    /// <summary>The kernels' width on this machine, e.g. "avx512".</summary>
    string InstructionSet { get; }

    /// <summary>How many threads share the work of a step.</summary>
    int Threads { get; }

    /// <summary>The parts of <paramref name="all"/> that a rank of a stage needs.</summary>
    IReadOnlyList<TensorPart> PartsOf(IReadOnlyList<TensorInfo> all, StageShape shape, StageSlice slice, LlamaConfig config);

    /// <summary>How many stored bytes <see cref="Load"/> reads.</summary>
    long BytesToLoad(IModelWeights weights, StageShape shape, StageSlice slice);

    /// <summary>Reads and packs a rank's parts of a stage's tensors. Blocks the calling thread for as long as it takes.</summary>
    /// <param name="bytesLoaded">Gets how many stored bytes are done so far.</param>
    /// <exception cref="ModelFormatException">The weights cannot be read.</exception>
    IShardModel Load(IModelWeights weights, StageShape shape, StageSlice slice, IProgress<long> bytesLoaded, CancellationToken cancellation);
}

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
