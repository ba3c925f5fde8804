using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Inference;

namespace LlamaCluster.Worker.Loading;

/// <summary>The model's own code. Its compute threads are the worker's, used by loading and by steps in turn.</summary>
sealed class LlamaLoader(WorkerOptions options) : IModelLoader, IDisposable
{
    readonly ComputeThreads _threads = new(options.Threads > 0 ? options.Threads : Environment.ProcessorCount);

    public string InstructionSet { get; } = KernelWidths.Chosen.ToString().ToLowerInvariant();

    public int Threads => _threads.Count;

    public IReadOnlyList<TensorInfo> TensorsOf(IReadOnlyList<TensorInfo> all, StageShape shape, LlamaConfig config) => ShardWeights.TensorsOf(all, shape, config);

    public IShardModel Load(IModelWeights weights, StageShape shape, IProgress<long> bytesLoaded, CancellationToken cancellation) =>
        new LlamaShard(weights.Config, ShardWeights.Load(weights, shape, _threads, bytesLoaded, cancellation), shape, _threads);

    public void Dispose() => _threads.Dispose();
}
