using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;

namespace LlamaCluster.Worker.Loading;

/// <summary>What the worker needs of the model's code, and can be tested without: packed weights out of stored ones.</summary>
interface IModelLoader
{
    /// <summary>The kernels' width on this machine, e.g. "avx512".</summary>
    string InstructionSet { get; }

    /// <summary>That share the work of a step.</summary>
    int Threads { get; }

    /// <summary>The parts of <paramref name="all"/> that a rank of a stage needs.</summary>
    IReadOnlyList<TensorPart> PartsOf(IReadOnlyList<TensorInfo> all, StageShape shape, StageSlice slice, LlamaConfig config);

    /// <summary>Stored bytes that <see cref="Load"/> reads.</summary>
    long BytesToLoad(IModelWeights weights, StageShape shape, StageSlice slice);

    /// <summary>Reads and packs a rank's parts of a stage's tensors. Blocks the calling thread for as long as it takes.</summary>
    /// <param name="bytesLoaded">Told how many stored bytes are done so far.</param>
    /// <exception cref="ModelFormatException">The weights cannot be read.</exception>
    IShardModel Load(IModelWeights weights, StageShape shape, StageSlice slice, IProgress<long> bytesLoaded, CancellationToken cancellation);
}
