using FsCheck;
using FsCheck.Fluent;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Testing;

namespace LlamaCluster.Planning.Tests.Plans;

public class PlanRulesTests
{
    static readonly Gen<int[]> Ranks = Gen.Choose(1, 4).NonEmptyListOf().Select(ranks => ranks.Take(12).ToArray());

    [Fact]
    public void FirstProblem_OfEvenSplits_IsNone() =>
        Prop.ForAll(Ranks.Zip(Gen.Choose(0, 100)).ToArbitrary(), shape =>
            Problem(PlanBuilder.Assignments(shape.Item1.Length + shape.Item2, shape.Item1), shape.Item1.Length + shape.Item2) is null)
            .QuickCheckThrowOnFailure();

    [Fact]
    public void FirstProblem_OneAssignmentTakenOut_IsFound() =>
        Prop.ForAll(Ranks.Zip(Gen.Choose(0, 1000)).ToArbitrary(), shape =>
        {
            var assignments = PlanBuilder.Assignments(shape.Item1.Length + 3, shape.Item1);
            var without = assignments.Where((_, i) => i != shape.Item2 % assignments.Length).ToArray();
            return Problem(without, shape.Item1.Length + 3) is not null;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void FirstProblem_TwoAssignmentsExchanged_IsFound() =>
        Prop.ForAll(Ranks.Zip(Gen.Choose(0, 1000)).ToArbitrary(), shape =>
        {
            var assignments = PlanBuilder.Assignments(shape.Item1.Length + 3, shape.Item1);
            if (assignments.Length == 1) return true;
            var i = shape.Item2 % (assignments.Length - 1);
            (assignments[i], assignments[i + 1]) = (assignments[i + 1], assignments[i]);
            return Problem(assignments, shape.Item1.Length + 3) is not null;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void FirstProblem_OneFieldWrong_NamesIt()
    {
        var good = PlanBuilder.Assignments(8, 1, 2);
        Assert.Contains("view_version", PlanRules.FirstProblem(0, "demo", PlanBuilder.Digest, 8, good));
        Assert.Contains("model_name", PlanRules.FirstProblem(1, "", PlanBuilder.Digest, 8, good));
        Assert.Contains("model_digest", PlanRules.FirstProblem(1, "demo", PlanBuilder.Digest.ToUpperInvariant(), 8, good));
        Assert.Contains("model_digest", PlanRules.FirstProblem(1, "demo", "../../etc/passwd", 8, good));
        Assert.Contains("layer_count", PlanRules.FirstProblem(1, "demo", PlanBuilder.Digest, -1, good));
        Assert.Contains("7 left", Problem(With(good, 0, a => a with { Shard = new Shard(new LayerRange(0, 8), TensorSlice.Whole) }), 7));
        Assert.Contains("8 layers of 9", Problem(good, 9));
        Assert.Contains("0 assignments", Problem([], 8));
        Assert.Contains("twice", Problem(With(good, 1, a => a with { Worker = good[0].Worker }), 8));
        Assert.Contains("twice", Problem(With(good, 1, a => a with { Address = good[0].Address }), 8));
        Assert.Contains("worker_id", Problem(With(good, 1, a => a with { Worker = new WorkerId("a b") }), 8));
        Assert.Contains("no address", Problem(With(good, 1, a => a with { Address = new Uri("ftp://x:1") }), 8));
        Assert.Contains("256 ranks", Problem(With(good, 1, a => a with { Shard = a.Shard with { Slice = new TensorSlice(0, 256) } }), 8));
        Assert.Contains(
            "rank 1 of 2 (1:2)", Problem(With(good, 2, a => a with { Shard = a.Shard with { Slice = new TensorSlice(1, RankShares.Of(1, 2)) } }), 8));
        Assert.Contains("layers", Problem(With(good, 0, a => a with { Shard = a.Shard with { Layers = new LayerRange(0, int.MaxValue) } }), 8));
    }

    static string? Problem(ShardAssignment[] assignments, int layers) => PlanRules.FirstProblem(1, "demo", PlanBuilder.Digest, layers, assignments);

    static ShardAssignment[] With(ShardAssignment[] assignments, int index, Func<ShardAssignment, ShardAssignment> change) =>
        [.. assignments.Select((a, i) => i == index ? change(a) : a)];
}
