using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Weights;
using LlamaCluster.Worker.Profiling;

namespace LlamaCluster.Worker.Loading;

/// <summary>The model's own code. Its compute threads are the worker's, used by loading and by steps in turn.</summary>
sealed class LlamaLoader(WorkerOptions options) : IModelLoader, IDisposable
{
    readonly ComputeThreads _threads = new(options.Threads > 0 ? options.Threads : Environment.ProcessorCount);

    public string InstructionSet { get; } = KernelWidths.Chosen.ToString().ToLowerInvariant();

    public int Threads => _threads.Count;

    public IReadOnlyList<TensorPart> PartsOf(IReadOnlyList<TensorInfo> all, StageShape shape, StageSlice slice, LlamaConfig config) =>
        new ShardParts(config, shape, slice).Of(all);

    public long BytesToLoad(IModelWeights weights, StageShape shape, StageSlice slice) =>
        ShardParts.Held(weights, shape, slice).Of(weights.Tensors).Sum(part => part.Bytes);

    public IShardModel Load(IModelWeights weights, StageShape shape, StageSlice slice, IProgress<long> bytesLoaded, CancellationToken cancellation) =>
        new LlamaShard(weights.Config, ShardWeights.Load(weights, shape, slice, _threads, bytesLoaded, cancellation), shape, _threads);

    /// <summary>Measures what the worker's threads can do; blocks the calling thread for about a second.</summary>
    public MachineProfile Measure() => MachineMeasurement.Run(_threads);

    public void Dispose() => _threads.Dispose();
}
