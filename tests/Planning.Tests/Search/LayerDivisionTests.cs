using FsCheck;
using FsCheck.Fluent;
using LlamaCluster.Planning.Search;

namespace LlamaCluster.Planning.Tests.Search;

public sealed class LayerDivisionTests
{
    [Fact]
    public void No_division_has_a_faster_slowest_stage() => Prop.ForAll(Costs(), costs =>
    {
        var (layers, stages) = (costs.Layers.Length, costs.Paces.Length);
        long Time(int stage, int first, int count) => costs.Layers[first..(first + count)].Sum() * costs.Paces[stage];
        var best = LayerDivision.Best<long>(layers, stages, (stage, first, count) => Time(stage, first, count), Math.Max);
        if (stages > layers) Assert.Null(best);
        else Assert.Equal(
            All(layers, stages).Min(counts => counts.Select((count, stage) => Time(stage, counts[..stage].Sum(), count)).Max()),
            best!.Value.Cost);
    }).Check(Config.QuickThrowOnFailure.WithReplay(20261122, 1));

    [Fact]
    public void Of_equals_the_earlier_stages_get_more()
        => Assert.Equal([3, 2, 2], LayerDivision.Best<StageSum>(7, 3, (_, _, count) => StageSum.Of(count), StageSum.Add)!.Value.Counts);

    [Fact]
    public void There_is_none_where_a_stage_cannot_hold_its_part()
        => Assert.Null(LayerDivision.Best<long>(7, 3, (_, _, count) => count > 2 ? null : count, Math.Max));

    static IEnumerable<int[]> All(int layers, int stages) => stages == 1
        ? [[layers]]
        : Enumerable.Range(1, layers - stages + 1).SelectMany(first => All(layers - first, stages - 1).Select(rest => (int[])[first, .. rest]));

    static Arbitrary<(long[] Layers, int[] Paces)> Costs() => Arb.From(
        from layers in Gen.Choose(1, 9).SelectMany(count => Gen.ArrayOf(Gen.Choose(1, 20), count))
        from paces in Gen.Choose(1, 4).SelectMany(count => Gen.ArrayOf(Gen.Choose(1, 8), count))
        select (layers.Select(layer => (long)layer).ToArray(), paces));
}
