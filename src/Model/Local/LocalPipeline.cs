using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Adapters;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Model.Weights;

namespace LlamaCluster.Model.Local;

/// <summary>A stage of a pipeline in this process.</summary>
/// <param name="Slices">Slices of the ranks that share the stage, in the order of ranks; none: the stage is not split.</param>
public sealed record LocalStagePlan(StageShape Shape, IReadOnlyList<StageSlice> Slices)
{
    /// <summary>Stages of nearly the same number of layers, not split.</summary>
    /// <param name="stages">1 to the number of layers.</param>
    public static IReadOnlyList<LocalStagePlan> Even(int layers, int stages)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(stages, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(stages, layers);
        return [.. Enumerable.Range(0, stages).Select(stage =>
        {
            var first = layers * stage / stages;
            return new LocalStagePlan(new StageShape(first, (layers * (stage + 1) / stages) - first, layers), []);
        })];
    }
}

/// <summary>All stages of a model in this process, run one after the other as a cluster runs them. One caller at a time.</summary>
public sealed class LocalPipeline : IDisposable
{
    readonly List<ShardWeights> _weights = [];
    readonly List<IStage> _stages = [];
    readonly List<ShardAdapters> _adapters = [];

    LocalPipeline() { }

    /// <param name="stages">1 to the number of layers.</param>
    /// <param name="threads">Must outlive the pipeline.</param>
    /// <exception cref="ModelFormatException">The weights cannot be read.</exception>
    public static LocalPipeline Load(
        IModelWeights source, int stages, StageOptions options, ComputeThreads threads,
        IProgress<long>? bytesLoaded = null, CancellationToken cancellation = default) =>
        Load(source, LocalStagePlan.Even(source.Config.LayerCount, stages), options, threads, bytesLoaded, cancellation);

    /// <param name="stages">Cover all layers in order.</param>
    /// <param name="threads">Threads of stages that are not split; must outlive the pipeline.</param>
    /// <param name="adapters">What sequences may name as their adapters, by id; null: nothing.</param>
    /// <exception cref="ModelFormatException">The weights cannot be read.</exception>
    public static LocalPipeline Load(
        IModelWeights source, IReadOnlyList<LocalStagePlan> stages, StageOptions options, ComputeThreads threads,
        IProgress<long>? bytesLoaded = null, CancellationToken cancellation = default, IReadOnlyDictionary<ulong, AdapterWeights>? adapters = null)
    {
        var pipeline = new LocalPipeline();
        try
        {
            var progress = bytesLoaded is null ? null : new PartsProgress(bytesLoaded);
            foreach (var (shape, slices) in stages)
            {
                if (slices.Count > 0)
                {
                    pipeline._stages.Add(new LocalTensorStage(source, shape, slices, options, progress, cancellation, adapters));
                    continue;
                }
                var weights = ShardWeights.Load(source, shape, threads, progress?.NextPart(), cancellation);
                pipeline._weights.Add(weights);
                var own = options;
                if (adapters is not null)
                {
                    pipeline._adapters.Add(ShardAdapters.Load(adapters, source.Config, shape, weights.Slice));
                    own = options with { Adapters = pipeline._adapters[^1] };
                }
                pipeline._stages.Add(new StageRunner(source.Config, weights, shape, own, threads));
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
        foreach (var adapters in _adapters) adapters.Dispose();
        foreach (var weights in _weights) weights.Dispose();
    }
}
