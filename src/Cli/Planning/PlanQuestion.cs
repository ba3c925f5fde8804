using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Planning;
using LlamaCluster.Coordinator.Planning.Costs;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Inference;

namespace LlamaCluster.Cli.Planning;

/// <summary>What `plan` is asked, but for the cluster.</summary>
/// <param name="Positions">Of each stream.</param>
/// <param name="RanksPerStage">Null: as the planner finds best.</param>
sealed record PlanQuestion(ModelFootprint Model, PlanObjective Objective, int Positions, int Streams, int? RanksPerStage)
{
    public PlanningProblem On(ClusterDescription cluster) => On(cluster, goal => goal);

    public PlanningProblem On(ClusterDescription cluster, Func<PlanGoal, PlanGoal> change) => new(Model, cluster.ToProfile(), change(Goal), new Overheads());

    PlanGoal Goal
    {
        get
        {
            var engine = new EngineOptions();
            return PlanGoal.Of(Objective, Positions, Streams) with
            {
                RanksPerStage = RanksPerStage,
                PromptRows = engine.MaxPromptRows,
                BufferBytes = BufferBytes(Model.Config, engine.MaxStepRows),
            };
        }
    }

    static long BufferBytes(LlamaConfig config, int rows) => StageMemory.BufferBytes(config, StageShape.Whole(config.LayerCount), rows);
}
