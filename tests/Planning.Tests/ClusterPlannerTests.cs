using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Tests;

public sealed class ClusterPlannerTests
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
        => Assert.Equal([6, 4], Counts(Plan(Footprints.OfLayers(Enumerable.Repeat(100 * Mega, 10), headBytes: 200 * Mega), Workers(2))));

    [Fact]
    public void A_worker_gets_no_more_than_its_memory_holds()
        => Assert.Equal([3, 9], CountsByWorker(Plan(Model(12), [Worker(1, memory: 400 * Mega), Worker(2, memory: 10_000 * Mega)])));

    [Fact]
    public void Kv_room_is_what_the_tightest_worker_has_left()
    {
        var planned = Plan(Model(4), [Worker(1, memory: 300 * Mega), Worker(2, memory: 10_000 * Mega)], kvBlocks: 1_000_000);
        Assert.Equal([2, 2], Counts(planned));
        Assert.Equal(45_000, Assert.IsType<PlanOutcome.Planned>(planned).KvBlocks);   // (300 M - 1.05 * 200 M) / (2 layers * 1000 B)
    }

    [Fact]
    public void All_wanted_kv_is_made_room_for_if_another_division_has_it()
    {
        var planned = Assert.IsType<PlanOutcome.Planned>(Plan(Model(4), [Worker(1, memory: 300 * Mega), Worker(2, memory: 10_000 * Mega)], kvBlocks: 60_000));
        Assert.Equal([1, 3], CountsByWorker(planned));
        Assert.Equal(60_000, planned.KvBlocks);
    }

    [Fact]
    public void Where_not_all_kv_has_room_one_stream_of_the_full_context_has_if_another_division_has_it()
    {
        // 8192 blocks of 1000 B a layer: two layers of 105 MB leave no room for them in 220 MB, one does.
        var request = Request(Model(4), [Worker(1, memory: 220 * Mega), Worker(2, memory: 10_000 * Mega)], kvBlocks: 1_000_000) with { Context = 131_072 };
        var planned = ClusterPlanner.Plan(request);
        Assert.Equal([1, 3], CountsByWorker(planned));
        Assert.Equal([2, 2], CountsByWorker(ClusterPlanner.Plan(request with { Context = 1024 })));
    }

    [Fact]
    public void What_does_not_fit_is_refused_with_the_arithmetic()
    {
        var refused = Assert.IsType<PlanOutcome.Refused>(Plan(Model(12), [Worker(1, memory: 400 * Mega), Worker(2, memory: 500 * Mega)]));
        Assert.StartsWith(
            "the model does not fit: 1.26 GB of weights + 0.00 GB of KV cache + 2 x 0.00 GB of buffers = 1.26 GB, "
            + "but the workers have 1 x 0.40 GB + 1 x 0.50 GB = 0.90 GB",
            refused.Reason);
        Assert.DoesNotContain('\n', refused.Reason);
    }

    [Fact]
    public void Fewer_workers_than_ranks_are_refused_with_the_arithmetic_too()
    {
        var request = Request(Footprints.Small(4), [Worker(1, memory: 2 * Mega), Worker(2, memory: 1)], kvBlocks: 1) with
        {
            TensorParallel = 3,
            MinKvBlocks = 1,
        };
        Assert.Matches("^the model does not fit: .*: in whole layers of ", Assert.IsType<PlanOutcome.Refused>(ClusterPlanner.Plan(request)).Reason);
    }

    [Fact]
    public void Ranks_of_a_stage_are_in_the_plan_with_their_shares()
    {
        var plan = Assert.IsType<PlanOutcome.Planned>(ClusterPlanner.Plan(Request(Footprints.Small(4), Workers(4)) with { TensorParallel = 2 })).Plan;
        Assert.Equal(2, plan.StageCount);
        Assert.Equal(
            [new TensorSlice(0, 2), new TensorSlice(1, 2), new TensorSlice(0, 2), new TensorSlice(1, 2)],
            plan.Assignments.Select(part => part.Shard.Slice));
    }

    [Fact]
    public void The_last_stage_has_the_workers_that_are_left()
    {
        var plan = Assert.IsType<PlanOutcome.Planned>(ClusterPlanner.Plan(Request(Model(10), Workers(5)) with { TensorParallel = 2 })).Plan;
        Assert.Equal(
            [(0, 0, 2), (0, 1, 2), (1, 0, 2), (1, 1, 2), (2, 0, 1)],
            plan.Assignments.Select(part => (part.Stage, part.Shard.Slice.Rank, part.Shard.Slice.RankCount)));
        Assert.Equal([4, 4, 4, 4, 2], plan.Assignments.Select(part => part.Shard.Layers.Count));
    }

    [Fact]
    public void No_workers_no_plan() => Assert.IsType<PlanOutcome.Refused>(Plan(Model(4), []));

    static ModelFootprint Model(int layers) => Footprints.OfLayers(Enumerable.Repeat(100 * Mega, layers));

    static CandidateWorker[] Workers(int count) => [.. Enumerable.Range(1, count).Select(index => Worker(index))];

    static CandidateWorker Worker(int index, long memory = 0, int threads = 0, double bandwidth = 0)
        => new(new WorkerId($"w{index}"), $"worker{index}", new Uri($"http://127.0.0.1:{1000 + index}"), new MachineFacts(memory, threads, bandwidth, 0));

    static PlanRequest Request(ModelFootprint model, CandidateWorker[] workers, int kvBlocks = 64)
        => new(3, new ModelIdentity("model", new string('0', 64)), model, workers, TensorParallel: 1, BufferBytes: 0, kvBlocks, MinKvBlocks: 16);

    static PlanOutcome Plan(ModelFootprint model, CandidateWorker[] workers, int kvBlocks = 64) => ClusterPlanner.Plan(Request(model, workers, kvBlocks));

    static int[] CountsByWorker(PlanOutcome outcome)
        => [.. Assert.IsType<PlanOutcome.Planned>(outcome).Plan.Assignments.OrderBy(part => part.Worker.Value).Select(part => part.Shard.Layers.Count)];

    static int[] Counts(PlanOutcome outcome)
        => [.. Assert.IsType<PlanOutcome.Planned>(outcome).Plan.Assignments.Select(assignment => assignment.Shard.Layers.Count)];
}
