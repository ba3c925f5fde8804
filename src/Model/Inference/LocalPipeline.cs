using LlamaCluster.Kernels;
using LlamaCluster.Model.Formats;

namespace LlamaCluster.Model.Inference;

/// <summary>All stages of a model in this process, run one after the other as a cluster runs them. One caller at a time.</summary>
public sealed class LocalPipeline : IDisposable
{
    readonly List<ShardWeights> _weights = [];
    readonly List<IStage> _stages = [];

    LocalPipeline() { }

    /// <param name="stages">1 to the number of layers.</param>
    /// <param name="threads">Must outlive the pipeline.</param>
    /// <exception cref="ModelFormatException">The weights cannot be read.</exception>
    public static LocalPipeline Load(
        IModelWeights source, int stages, StageOptions options, ComputeThreads threads,
        IProgress<long>? bytesLoaded = null, CancellationToken cancellation = default)
    {
        var layers = source.Config.LayerCount;
        ArgumentOutOfRangeException.ThrowIfLessThan(stages, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(stages, layers);
        var pipeline = new LocalPipeline();
        try
        {
            var loaded = 0L;
            for (var stage = 0; stage < stages; stage++)
            {
                var first = layers * stage / stages;
                var shape = new StageShape(first, (layers * (stage + 1) / stages) - first, layers);
                var progress = bytesLoaded is null ? null : new ProgressAfter(loaded, bytesLoaded);
                var weights = ShardWeights.Load(source, shape, threads, progress, cancellation);
                pipeline._weights.Add(weights);
                pipeline._stages.Add(new StageRunner(source.Config, weights, shape, options, threads));
                loaded += ShardWeights.TensorsOf(source.Tensors, shape, source.Config).Sum(tensor => tensor.Bytes);
            }
            return pipeline;
        }
        catch
        {
            pipeline.Dispose();
            throw;
        }
    }

    /// <summary>The step's outcome on the last stage, or on the first one that did not complete it.</summary>
    public StepOutcome Run(Step step)
    {
        var outcome = _stages[0].Run(step);
        for (var i = 1; i < _stages.Count && outcome is StepOutcome.Completed; i++)
        {
            var rows = 0;
            for (var c = 0; c < step.Chunks.Count; c++) rows += step.Chunks[c].Count;
            _stages[i - 1].Output.CopyTo(_stages[i].Input(rows));
            outcome = _stages[i].Run(step);
        }
        return outcome;
    }

    public void End(ulong sequenceId)
    {
        foreach (var stage in _stages) stage.End(sequenceId);
    }

    public void Dispose()
    {
        foreach (var stage in _stages) stage.Dispose();
        foreach (var weights in _weights) weights.Dispose();
    }

    sealed class ProgressAfter(long before, IProgress<long> whole) : IProgress<long>
    {
        public void Report(long value) => whole.Report(before + value);
    }
}
