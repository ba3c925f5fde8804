using LlamaCluster.Model.Config;

namespace LlamaCluster.Model.Local;

/// <summary>A stage of a pipeline in this process.</summary>
/// <param name="Slices">Of the ranks that share it, in their order; none: it is not split.</param>
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
