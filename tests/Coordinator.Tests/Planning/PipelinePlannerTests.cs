using FsCheck;
using FsCheck.Fluent;
using LlamaCluster.Cluster.Plans;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Planning;

namespace LlamaCluster.Coordinator.Tests.Planning;

public sealed class PipelinePlannerTests
{
    const long Mega = 1_000_000;

    [Theory]
    [InlineData(8, 1, new[] { 8 })]
    [InlineData(8, 2, new[] { 4, 4 })]
    [InlineData(8, 3, new[] { 3, 3, 2 })]
    [InlineData(8, 5, new[] { 2, 2, 2, 1, 1 })]
    [InlineData(32, 6, new[] { 6, 6, 5, 5, 5, 5 })]
    [InlineData(3, 5, new[] { 1, 1, 1 })]
    public void Equal_workers_get_equal_ranges_and_what_is_over_stays_spare(int layers, int workers, int[] expected)
        => Assert.Equal(expected, Counts(Plan(Model(layers), Workers(workers))));

    [Fact]
    public void Twice_the_bandwidth_gets_twice_the_layers()
        => Assert.Equal([8, 4], Counts(Plan(Model(12), [Worker(1, bandwidth: 20e9), Worker(2, bandwidth: 10e9)])));

    [Fact]
    public void Threads_count_where_bandwidth_was_not_measured_everywhere()
        => Assert.Equal([3, 9], Counts(Plan(Model(12), [Worker(1, bandwidth: 20e9, threads: 2), Worker(2, threads: 6)])));

    [Fact]
    public void The_stage_with_the_head_gets_fewer_layers()
        => Assert.Equal([6, 4], Counts(Plan(Model(10) with { HeadBytes = 2 * Mega }, Workers(2))));

    [Fact]
    public void A_worker_gets_no_more_than_its_memory_holds()
        => Assert.Equal([3, 9], Counts(Plan(Model(12), [Worker(1, memory: 4 * Mega), Worker(2, memory: 100 * Mega)])));

    [Fact]
    public void Kv_room_is_what_the_tightest_worker_has_left()
    {
        var planned = Plan(Model(4), [Worker(1, memory: 3 * Mega), Worker(2, memory: 100 * Mega)], kvBlocks: 5000);
        Assert.Equal([2, 2], Counts(planned));
        Assert.Equal(400, Assert.IsType<PlanOutcome.Planned>(planned).KvBlocks);   // (3 M - 1.1 * 2 M) / (2 layers * 1000 B)
    }

    [Fact]
    public void What_does_not_fit_is_refused_with_the_arithmetic()
    {
        var refused = Assert.IsType<PlanOutcome.Refused>(Plan(Model(12), [Worker(1, memory: 4 * Mega), Worker(2, memory: 5 * Mega)]));
        Assert.Contains("does not fit", refused.Reason);
        Assert.Contains("worker1 0.00 GB", refused.Reason);
        Assert.DoesNotContain('\n', refused.Reason);
    }

    [Fact]
    public void Workers_share_stages_and_the_last_stage_has_those_that_are_left()
    {
        var plan = Assert.IsType<PlanOutcome.Planned>(PipelinePlanner.Plan(Request(Model(10), Workers(5)) with { TensorParallel = 2 })).Plan;
        Assert.Equal([(0, 0, 2), (0, 1, 2), (1, 0, 2), (1, 1, 2), (2, 0, 1)], plan.Assignments.Select(part => (part.Stage, part.Shard.Slice.Rank, part.Shard.Slice.RankCount)));
        Assert.Equal([4, 4, 4, 4, 2], plan.Assignments.Select(part => part.Shard.Layers.Count));
    }

    [Fact]
    public void No_workers_no_plan() => Assert.IsType<PlanOutcome.Refused>(Plan(Model(4), []));

    /// <summary>Against all divisions there are: no other has a faster slowest stage.</summary>
    [Fact]
    public void No_division_has_a_faster_slowest_stage() => Prop.ForAll(SmallClusters(), cluster =>
    {
        var (model, workers) = cluster;
        var plan = Plan(model, workers);
        double Time(int stage, int first, int count) => model.BytesPerStep(first, count) / workers[stage].Capabilities.MemoryReadBytesPerSecond;
        double Slowest(IReadOnlyList<int> counts)
        {
            var first = 0;
            return counts.Select((count, stage) => Time(stage, (first += count) - count, count)).Max();
        }

        Assert.Equal(Divisions(model.LayerCount, workers.Length).Min(Slowest), Slowest(Counts(plan)), 1e-9);
        Assert.Equal(Counts(plan), Counts(Plan(model, workers)));
    }).Check(Config.QuickThrowOnFailure.WithReplay(20251122, 1));

    static Arbitrary<(ModelFootprint, Member[])> SmallClusters() => Arb.From(
        from layers in Gen.Choose(1, 9)
        from bytes in Gen.ArrayOf(Gen.Choose(1, 20), layers)
        from head in Gen.Choose(0, 30)
        from paces in Gen.ArrayOf(Gen.Choose(1, 8)).Where(paces => paces.Length >= 1 && paces.Length <= Math.Min(4, layers))
        select (new ModelFootprint([.. bytes.Select(size => size * Mega)], 0, head * Mega, false, 1000),
            paces.Select((pace, index) => Worker(index + 1, bandwidth: pace)).ToArray()));

    static IEnumerable<int[]> Divisions(int layers, int stages)
        => stages == 1
            ? [[layers]]
            : Enumerable.Range(1, layers - stages + 1).SelectMany(first => Divisions(layers - first, stages - 1).Select(rest => (int[])[first, .. rest]));

    static ModelFootprint Model(int layers) => new([.. Enumerable.Repeat(Mega, layers)], 0, 0, TiedHead: false, KvBlockBytes: 1000);

    static Member[] Workers(int count) => [.. Enumerable.Range(1, count).Select(index => Worker(index))];

    static Member Worker(int index, long memory = 0, int threads = 0, double bandwidth = 0)
        => new(new WorkerId($"w{index}"), $"worker{index}", new Uri($"http://127.0.0.1:{1000 + index}"))
        {
            State = MemberState.Alive,
            CoordinatorAddress = new Uri("http://127.0.0.1:1"),
            Capabilities = WorkerCapabilities.Unknown with { MemoryBytes = memory, Threads = threads, MemoryReadBytesPerSecond = bandwidth },
        };

    static PlanRequest Request(ModelFootprint model, Member[] workers, int kvBlocks = 64)
        => new(3, new ModelIdentity("model", new string('0', 64)), model, workers, TensorParallel: 1, BufferBytes: 0, kvBlocks, MinKvBlocks: 16);

    static PlanOutcome Plan(ModelFootprint model, Member[] workers, int kvBlocks = 64) => PipelinePlanner.Plan(Request(model, workers, kvBlocks));

    static int[] Counts(PlanOutcome outcome)
        => [.. Assert.IsType<PlanOutcome.Planned>(outcome).Plan.Assignments.Select(assignment => assignment.Shard.Layers.Count)];
}
