using FsCheck;
using FsCheck.Fluent;
using LlamaCluster.Coordinator;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Planning.Search;
using LlamaCluster.Testing;

namespace LlamaCluster.Planning.Tests;

public sealed class PipelinePlannerTests
{
    static readonly Config Checks = Config.QuickThrowOnFailure.WithReplay(20261122, 1);

    [Theory]
    [InlineData("hidden=36,layers=2,ffn=50,heads=6,kv-heads=3,vocab=512", 3, "at most 2: 3 ranks cannot share a feed-forward of 50, each at least 32 columns")]
    [InlineData("hidden=256,layers=2,ffn=512,heads=8,vocab=512", 9, "at most 8: 9 ranks cannot share 8 query heads")]
    [InlineData("llama-3.1-405b", 65, "at most 64: more would exchange more than they save")]
    [InlineData("llama-3.1-405b", 257, "at most 64: more would exchange more than they save")]
    public void Ranks_that_can_never_share_a_stage_are_refused_with_the_arithmetic(string shape, int ranks, string problem)
    {
        var model = Footprints.Of(shape, "f16");
        Assert.Equal(
            $"--tensor-parallel is {ranks}; a stage of {shape} can be shared by {problem}",
            PipelinePlanner.RankProblem(model, ranks, ExpertParallel.Auto));
        Assert.Null(PipelinePlanner.RankProblem(model, 2, ExpertParallel.Auto));
    }

    [Fact]
    public void A_plan_covers_all_layers_once_and_no_worker_twice() => Prop.ForAll(Problems(6), problem =>
    {
        if (PipelinePlanner.Plan(problem) is not PipelineOutcome.Planned { Pipeline: var plan }) return;
        var next = 0;
        foreach (var stage in plan.Stages)
        {
            Assert.Equal(next, stage.Layers.First);
            Assert.Equal(stage.Workers.Count, stage.Shares.Count);
            next = stage.Layers.End;
        }
        Assert.Equal(problem.Model.LayerCount, next);
        var workers = plan.Stages.SelectMany(stage => stage.Workers).ToList();
        Assert.Equal(workers.Distinct(), workers);
        Assert.True(problem.Goal.RanksPerStage is not { } ranks || plan.Stages.SkipLast(1).All(stage => stage.Workers.Count == ranks));
    }).Check(Checks);

    [Fact]
    public void A_plan_fits_the_memory_of_every_worker() => Prop.ForAll(Problems(6), problem =>
    {
        if (PipelinePlanner.Plan(problem) is not PipelineOutcome.Planned { Pipeline: var plan }) return;
        foreach (var (stage, prediction) in plan.Stages.Zip(plan.Prediction.Stages))
            foreach (var (worker, memory) in stage.Workers.Zip(prediction.Memory))
                if (problem.Cluster.Workers[worker].MemoryBytes is > 0 and var limit) Assert.InRange(memory.Total, 0, limit);
    }).Check(Checks);

    [Fact]
    public void The_same_problem_has_the_same_plan() => Prop.ForAll(Problems(6), problem =>
        Assert.Equal(Describe(PipelinePlanner.Plan(problem)), Describe(PipelinePlanner.Plan(problem)))).Check(Checks);

    [Fact]
    public void No_plan_is_worse_than_the_even_split() => Prop.ForAll(Problems(9), problem =>
    {
        var stages = Math.Min(problem.Cluster.Workers.Count, problem.Model.LayerCount);
        PlannedStage[] even =
            [.. LayerSplit.Even(problem.Model.LayerCount, stages).Select((range, worker) => new PlannedStage(range, [worker], RankShares.Whole))];
        if (problem.Goal.RanksPerStage is > 1 || !Fits(problem, even)) return;
        var plan = Assert.IsType<PipelineOutcome.Planned>(PipelinePlanner.Plan(problem)).Pipeline;
        Assert.InRange(Cost(problem, plan.Stages), 0, Cost(problem, even) * (1 + 1e-9));
    }).Check(Checks);

    /// <summary>Against everything there is: all subsets and orders of workers, all groups, all ranges.</summary>
    [Fact]
    public void No_other_plan_of_a_small_cluster_is_better() => Prop.ForAll(Problems(3, layers: 5), problem =>
    {
        var groups = new StageGroups(problem);
        var best = Everything(problem, groups).Select(stages => Cost(problem, stages)).DefaultIfEmpty(double.NaN).Min();
        var outcome = PipelinePlanner.Plan(problem);
        if (double.IsNaN(best)) Assert.IsType<PipelineOutcome.Refused>(outcome);
        else Assert.Equal(best, Cost(problem, Assert.IsType<PipelineOutcome.Planned>(outcome).Pipeline.Stages), SchemeEvaluator.Precision * best);
    }).Check(Checks);

    [Fact]
    public void Over_slow_links_a_pipeline_is_best_and_over_fast_ones_a_tensor_group()
    {
        var model = Footprints.Of("hidden=2048,layers=16,ffn=8192,heads=32,kv-heads=8,vocab=32000");
        int[] RanksOver(Link link) =>
            Ranks(new PlanningProblem(model, Clusters.Alike(2, link), PlanGoal.Of(PlanObjective.Latency, 512, 1) with { UsesAll = true }, new Overheads()));

        Assert.Equal([1, 1], RanksOver(Clusters.Slow));
        Assert.Equal([2], RanksOver(Clusters.Fast));
    }

    [Fact]
    public void A_much_slower_worker_is_left_out_unless_all_are_to_be_used()
    {
        var cluster = Clusters.Of(Clusters.Slow, Clusters.Worker(0, read: 40e9), Clusters.Worker(1, read: 1e9));
        var problem = new PlanningProblem(Footprints.Small(8), cluster, PlanGoal.Of(PlanObjective.Latency, 512, 1), new Overheads());

        Assert.Equal([1], Ranks(problem));
        Assert.Equal(2, Ranks(new PlanningProblem(problem.Model, cluster, problem.Goal with { UsesAll = true }, problem.Overheads)).Sum());
    }

    [Fact]
    public void Unequal_ranks_get_unequal_shares()
    {
        var cluster = Clusters.Of(Clusters.Fast, Clusters.Worker(0, read: 30e9), Clusters.Worker(1, read: 10e9));
        var model = Footprints.Of("hidden=4096,layers=8,ffn=16384,heads=32,kv-heads=8,vocab=32000");
        var plan = Planned(new PlanningProblem(model, cluster, PlanGoal.Of(PlanObjective.Latency, 512, 1) with { RanksPerStage = 2 }, new Overheads()));

        var shares = Assert.Single(plan.Stages).Shares;
        Assert.InRange(shares[0] / (double)shares[1], 2.8, 3.2);
    }

    [Theory]
    [InlineData(10)]
    [InlineData(20)]
    public void Hosts_whose_links_all_measured_a_little_different_share_stages_like_hosts_that_are_alike(int workers)
    {
        var goal = PlanGoal.Of(PlanObjective.Latency, 512, 1) with { UsesAll = true };
        PlannedPipeline On(ClusterProfile cluster, int? ranks) =>
            Planned(new PlanningProblem(Footprints.Of("llama-3.1-70b"), cluster, goal with { RanksPerStage = ranks }, new Overheads()));
        var (alike, nearly) = (Clusters.Alike(workers, Clusters.Fast), Clusters.NearlyAlike(workers, Clusters.Fast));

        Assert.All(On(nearly, 2).Stages, stage => Assert.Equal(2, stage.Workers.Count));
        Assert.InRange(On(nearly, null).Prediction.OneToken.Total, 0, 1.01 * On(alike, null).Prediction.OneToken.Total);
        goal = goal with { UsesAll = false };
        Assert.All(On(Clusters.NearlyAlike(workers - 1, Clusters.Fast), 2).Stages, stage => Assert.Equal(2, stage.Workers.Count));
    }

    [Fact]
    public void Hosts_that_are_near_each_other_share_a_stage()
    {
        var goal = PlanGoal.Of(PlanObjective.Latency, 512, 1) with { RanksPerStage = 9, UsesAll = true };
        var plan = Planned(new PlanningProblem(Footprints.Of("llama-3.1-70b"), Clusters.TwoRacks(18, Clusters.Fast, Clusters.Slow), goal, new Overheads()));
        Assert.All(plan.Stages, stage => Assert.Single(stage.Workers.Select(worker => worker % 2).Distinct()));
    }

    [Fact]
    public void Stages_that_kinds_of_workers_do_not_fill_have_workers_of_several()
    {
        var cluster = Clusters.Of(Clusters.Fast, Enumerable.Range(0, 18).Select(host => Clusters.Worker(host, read: host < 9 ? 20e9 : 40e9)));
        var goal = PlanGoal.Of(PlanObjective.Throughput, 512, 8) with { RanksPerStage = 2, UsesAll = true };
        Assert.Equal(Enumerable.Repeat(2, 9), Ranks(new PlanningProblem(Footprints.Small(20), cluster, goal, new Overheads())));
    }

    [Fact]
    public void More_ranks_than_a_stage_can_have_are_refused_by_number()
    {
        var problem = new PlanningProblem(
            Footprints.Small(4), Clusters.Alike(12, Clusters.Fast), PlanGoal.Of(PlanObjective.Latency, 512, 1) with { RanksPerStage = 9 }, new Overheads());
        Assert.Contains("--tensor-parallel is 9; a stage of", Assert.IsType<PipelineOutcome.Refused>(PipelinePlanner.Plan(problem)).Reason);
    }

    [Fact]
    public void It_says_what_was_chosen_from_what_and_why()
    {
        var plan = Planned(new PlanningProblem(
            Footprints.Of("llama-3.2-1b"), Clusters.Alike(3, Clusters.Fast), PlanGoal.Of(PlanObjective.Throughput, 512, 6), new Overheads()));

        Assert.Matches(@"^.*: the best of all \d+ schemes; next comes .*: [0-9.]+ tokens/s, [0-9.]+ % slower$", plan.Choice);
        Assert.NotEmpty(plan.Prediction.Limit);
    }

    /// <summary>Three workers of one thread each: a step of 128 rows of a 405B model takes minutes.</summary>
    [Fact]
    public void The_fullest_step_is_expected_to_take_as_long_as_its_arithmetic()
    {
        var cluster = Clusters.Of(Clusters.Fast, Enumerable.Range(0, 3).Select(host => Clusters.Worker(host, multiplyAdds: 250e9)));
        var goal = PlanGoal.Of(PlanObjective.Latency, 512, 1) with { UsesAll = true, RanksPerStage = 1 };
        var prediction = Planned(new PlanningProblem(Footprints.Of("llama-3.1-405b"), cluster, goal, new Overheads())).Prediction;

        Assert.InRange(prediction.OneToken.Total, 10, 15);
        Assert.InRange(prediction.FullStepSeconds, 129 * 402e9 / 250e9, 1.1 * 129 * 406e9 / 250e9);
        Assert.Equal(TimeSpan.FromSeconds(5 * prediction.FullStepSeconds), ClusterDeadlines.OfSteps(prediction.FullStepSeconds));
    }

    static bool Fits(PlanningProblem problem, IReadOnlyList<PlannedStage> stages) => stages.All(stage =>
        StageGroup.Of(problem, [.. stage.Workers], stage.Shares).Holds(stage.Layers.First, stage.Layers.Count));

    static double Cost(PlanningProblem problem, IReadOnlyList<PlannedStage> stages)
    {
        var prediction = PlanPredictor.Predict(problem, stages);
        return problem.Goal.Objective == PlanObjective.Latency ? prediction.OneToken.Total : prediction.Streams[^1].SecondsPerToken;
    }

    static IEnumerable<PlannedStage[]> Everything(PlanningProblem problem, StageGroups groups)
    {
        var all = Enumerable.Range(0, problem.Cluster.Workers.Count).ToArray();
        return from schemes in Sequences(all)
               where new PlanScheme(schemes).IsAllowed(problem)
               from stages in Fitting(byMemory: false, schemes) is { Count: > 0 } byPace ? byPace : Fitting(byMemory: true, schemes)
               select stages;

        List<PlannedStage[]> Fitting(bool byMemory, List<int[]> schemes) =>
        [
            .. Divisions(problem.Model.LayerCount, schemes.Count)
                .Select(counts => schemes.Select((stage, index) => new PlannedStage(
                    new LayerRange(counts[..index].Sum(), counts[index]), stage, groups.Of(stage, byMemory, wholeExperts: false).Shares)).ToArray())
                .Where(stages => Fits(problem, stages)),
        ];
    }

    /// <summary>All sequences of groups of some of the workers.</summary>
    static IEnumerable<List<int[]>> Sequences(int[] free)
    {
        foreach (var group in Enumerable.Range(1, (1 << free.Length) - 1).Select(mask => free.Where((_, bit) => (mask >> bit & 1) != 0).ToArray()))
        {
            yield return [group];
            foreach (var rest in Sequences([.. free.Except(group)])) yield return [group, .. rest];
        }
    }

    static IEnumerable<int[]> Divisions(int layers, int stages) => stages == 1
        ? [[layers]]
        : Enumerable.Range(1, layers - stages + 1).SelectMany(first => Divisions(layers - first, stages - 1).Select(rest => (int[])[first, .. rest]));

    static string Describe(PipelineOutcome outcome) => outcome switch
    {
        PipelineOutcome.Planned { Pipeline: var plan } =>
            $"{string.Join("; ", plan.Stages.Select(stage => $"{stage.Layers} on {string.Join(',', stage.Workers)} {stage.Shares}"))} {plan.Choice}",
        _ => $"{outcome}",
    };

    static PlannedPipeline Planned(PlanningProblem problem) => Assert.IsType<PipelineOutcome.Planned>(PipelinePlanner.Plan(problem)).Pipeline;

    static int[] Ranks(PlanningProblem problem) => [.. Planned(problem).Stages.Select(stage => stage.Workers.Count)];

    static Arbitrary<PlanningProblem> Problems(int mostWorkers, int layers = 12) => Arb.From(
        from layerCount in Gen.Choose(1, layers)
        from workers in Gen.Choose(1, mostWorkers)
        from speeds in Gen.ArrayOf(Gen.Choose(1, 3), workers)
        from memories in Gen.ArrayOf(Gen.Choose(0, 4), workers)
        from link in Gen.Elements(Clusters.Fast, Clusters.Slow)
        from objective in Gen.Elements(PlanObjective.Latency, PlanObjective.Throughput)
        from streams in Gen.Choose(1, 8)
        from ranks in Gen.Elements<int?>(null, null, 1, 2)
        from usesAll in Gen.Elements(false, true)
        let cluster = Clusters.Of(
            link,
            workers == 0
                ? []
                : speeds.Zip(memories, (speed, memory) => (speed, memory))
                    .Select((pair, host) => Clusters.Worker(host, pair.speed * 10e9, pair.memory * 2_000_000L)))
        select new PlanningProblem(
            Footprints.Small(layerCount), cluster, PlanGoal.Of(objective, 256, streams) with { RanksPerStage = ranks, UsesAll = usesAll }, new Overheads()));
}
