using LlamaCluster.Coordinator;
using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Cli.Planning;

/// <summary>What `plan` is asked, but for the cluster.</summary>
/// <param name="Positions">Of each stream.</param>
/// <param name="RanksPerStage">Null: as the planner finds best.</param>
sealed record PlanQuestion(PlannedModel Model, PlanObjective Objective, int Positions, int Streams, int? RanksPerStage)
{
    public PlanningProblem On(ClusterDescription cluster) => On(cluster, goal => goal);

    public PlanningProblem On(ClusterDescription cluster, Func<PlanGoal, PlanGoal> change) => new(Model.Footprint, cluster.ToProfile(), change(Goal), new Overheads());

    PlanGoal Goal => PlanGoal.Of(Objective, Positions, Streams) with
    {
        RanksPerStage = RanksPerStage,
        PromptRows = new EngineOptions().MaxPromptRows,
        BufferBytes = Model.BufferBytes,
    };
}
