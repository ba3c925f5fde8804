using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Planning.Tests;

/// <summary>Whether ranks of a stage get whole experts or columns of every one.</summary>
public sealed class ExpertPlanTests
{
    /// <summary>Wide experts, which four ranks can cut between blocks.</summary>
    const string Wide = "hidden=4096,layers=4,ffn=14336,heads=32,kv-heads=8,vocab=32000,experts=8";

    /// <summary>Many narrow ones: four ranks share their three blocks of 256 columns.</summary>
    const string Narrow = "hidden=2048,layers=4,ffn=768,heads=32,kv-heads=4,vocab=32000,experts=128,experts-used=8";

    /// <summary>A single stream's expert would be read by one rank while the others wait.</summary>
    [Fact]
    public void One_stream_of_wide_experts_has_their_columns()
    {
        var plan = Planned(Problem(Wide, PlanObjective.Latency, streams: 1));
        Assert.False(Assert.Single(plan.Stages).Shares.WholeExperts);
        Assert.Contains("1 stage of 4 ranks: ", plan.Choice);
        Assert.Matches("; with whole experts on each rank: .* % slower$", plan.Choice);
    }

    /// <summary>Blocks that ranks share cost a message for each expert in use.</summary>
    [Fact]
    public void Experts_that_cannot_be_cut_between_blocks_are_whole()
    {
        var plan = Planned(Problem(Narrow, PlanObjective.Throughput, streams: 16, quant: "q4_k_m"));
        Assert.True(Assert.Single(plan.Stages).Shares.WholeExperts);
        Assert.Contains("1 stage of 4 ranks with whole experts: ", plan.Choice);
        Assert.Matches("; with columns of every expert on each rank: .* % slower$", plan.Choice);
    }

    /// <summary>With columns each rank gathers, rounds and adds up the rows of all experts: where these are narrow, more than one rank's bad luck.</summary>
    [Fact]
    public void Many_rows_of_narrow_experts_are_computed_by_whole_ones()
    {
        // Blocks of 32 columns: nothing is shared.
        Assert.True(Planned(Problem(Narrow, PlanObjective.Throughput, streams: 512)).Stages[0].Shares.WholeExperts);
        Assert.False(Planned(Problem(Wide, PlanObjective.Throughput, streams: 8)).Stages[0].Shares.WholeExperts);
    }

    [Fact]
    public void Experts_that_are_too_narrow_to_be_cut_at_all_are_whole()
    {
        const string Tiny = "hidden=256,layers=2,ffn=64,heads=8,vocab=512,experts=16";
        Assert.True(Planned(Problem(Tiny, PlanObjective.Latency, 1)).Stages[0].Shares.WholeExperts);
        Assert.Equal(
            $"--tensor-parallel is 4; a stage of {Tiny} can be shared by at most 2: 4 ranks cannot share experts of 64, each at least 32 columns",
            Refused(Problem(Tiny, PlanObjective.Latency, 1, change: goal => goal with { ExpertParallel = ExpertParallel.Off })));
    }

    [Theory]
    [InlineData(ExpertParallel.On, true)]
    [InlineData(ExpertParallel.Off, false)]
    public void What_is_asked_for_is_planned(ExpertParallel experts, bool whole)
    {
        foreach (var (shape, streams) in new[] { (Wide, 1), (Narrow, 512) })
        {
            var problem = Problem(shape, PlanObjective.Throughput, streams, change: goal => goal with { ExpertParallel = experts });
            Assert.Equal(whole, Planned(problem).Stages[0].Shares.WholeExperts);
        }
    }

    [Fact]
    public void Whole_experts_of_a_model_without_any_are_refused() => Assert.Equal(
        "--expert-parallel is on, but hidden=256,layers=2,ffn=512,heads=8,kv-heads=8,vocab=512 has no experts: leave it out",
        Refused(new PlanningProblem(
            Footprints.Small(2), Clusters.Alike(2, Clusters.Fast),
            PlanGoal.Of(PlanObjective.Latency, 512, 1) with { ExpertParallel = ExpertParallel.On }, new Overheads())));

    /// <summary>A rank holds its experts, and its columns of everything else; together they hold the model once.</summary>
    [Fact]
    public void Uneven_ranks_have_experts_and_memory_in_proportion()
    {
        var cluster = Clusters.Of(Clusters.Fast, Clusters.Worker(0, read: 30e9, multiplyAdds: 750e9), Clusters.Worker(1, read: 10e9, multiplyAdds: 250e9));
        var goal = PlanGoal.Of(PlanObjective.Throughput, 512, 64) with { RanksPerStage = 2, ExpertParallel = ExpertParallel.On };
        var problem = new PlanningProblem(Footprints.Of(Narrow), cluster, goal, new Overheads());
        var plan = Planned(problem);

        var owned = problem.PartsOf(Assert.Single(plan.Stages).Shares).Select(part => part.ExpertCount).ToArray();
        Assert.Equal(128, owned.Sum());
        Assert.InRange(owned[0], 90, 100);
        var weights = plan.Prediction.Stages[0].Memory.Select(memory => memory.Weights / problem.Overheads.Resident).ToArray();
        Assert.InRange(weights.Sum(), problem.Model.Bytes, problem.Model.Bytes * 1.15);   // norms and embedding are on both
        Assert.InRange(weights[0] / weights[1], 2, 3.2);
    }

    static PlanningProblem Problem(string shape, PlanObjective objective, int streams, string quant = "q4_0", Func<PlanGoal, PlanGoal>? change = null)
    {
        var goal = PlanGoal.Of(objective, 512, streams) with { RanksPerStage = 4, UsesAll = true };
        return new PlanningProblem(Footprints.Of(shape, quant), Clusters.Alike(4, Clusters.Fast), change?.Invoke(goal) ?? goal, new Overheads());
    }

    static PlannedPipeline Planned(PlanningProblem problem) => Assert.IsType<PipelineOutcome.Planned>(PipelinePlanner.Plan(problem)).Pipeline;

    static string Refused(PlanningProblem problem) => Assert.IsType<PipelineOutcome.Refused>(PipelinePlanner.Plan(problem)).Reason;
}
