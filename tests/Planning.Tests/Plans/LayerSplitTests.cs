using FsCheck;
using FsCheck.Fluent;
using LlamaCluster.Testing;

namespace LlamaCluster.Planning.Tests.Plans;

public class LayerSplitTests
{
    [Fact]
    public void Even_AnyCounts_CoversEveryLayerOnceAndDiffersByAtMostOne() =>
        Prop.ForAll(Gen.Choose(1, 200).Zip(Gen.Choose(0, 200)).ToArbitrary(), counts =>
        {
            var (stages, extra) = counts;
            var ranges = LayerSplit.Even(stages + extra, stages);
            var layers = ranges.SelectMany(r => Enumerable.Range(r.First, r.Count));
            return ranges.Count == stages
                && layers.SequenceEqual(Enumerable.Range(0, stages + extra))
                && ranges.Max(r => r.Count) - ranges.Min(r => r.Count) <= 1
                && ranges[^1].Count <= ranges[0].Count;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Even_MoreStagesThanLayers_IsRefused() => Assert.Throws<ArgumentOutOfRangeException>(() => LayerSplit.Even(2, 3));

    [Fact]
    public void Even_32LayersOn6Stages_LosesNone() =>
        Assert.Equal([6, 6, 5, 5, 5, 5], LayerSplit.Even(32, 6).Select(r => r.Count));
}
