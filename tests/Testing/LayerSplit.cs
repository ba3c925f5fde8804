using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Testing;

/// <summary>Divides a model's layers among the stages of a pipeline.</summary>
public static class LayerSplit
{
    /// <summary>
    /// Ranges that differ by at most one layer. The longer ones come first, because the last stage has the head besides its layers.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">There are no stages, or fewer layers than stages.</exception>
    public static IReadOnlyList<LayerRange> Even(int layerCount, int stageCount)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(stageCount, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(layerCount, stageCount);
        var (each, rest) = Math.DivRem(layerCount, stageCount);
        return [.. Enumerable.Range(0, stageCount).Select(stage => new LayerRange(stage * each + Math.Min(stage, rest), stage < rest ? each + 1 : each))];
    }
}
