using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Search;

namespace LlamaCluster.Planning;

/// <summary>The predicted times of one step, in seconds.</summary>
/// <param name="Stages">Of each stage, in order.</param>
/// <param name="Between">Outside the stages: from the coordinator, from stage to stage, and back.</param>
public sealed record StepTimes(IReadOnlyList<double> Stages, double Between);

/// <summary>
/// Predicts how long single steps take in the stages of a plan while all stages are at work. Remembers every load. Not safe for concurrent use.
/// </summary>
public sealed class StepPredictor
{
    readonly SchemeFlows _flows;
    readonly StageGroup[] _groups;
    readonly IReadOnlyList<PlannedStage> _stages;
    readonly Dictionary<StepLoad, StepTimes> _known = [];

    /// <param name="stages">They use workers of the problem's cluster and cover the model's layers.</param>
    public StepPredictor(PlanningProblem problem, IReadOnlyList<PlannedStage> stages)
    {
        (_flows, _stages) = (new SchemeFlows(problem), stages);
        _groups = [.. stages.Select(stage => StageGroup.Of(problem, [.. stage.Workers], stage.Shares))];
    }

    public StepTimes Predict(StepLoad load) => _known.TryGetValue(load, out var known) ? known : _known[load] = New(load);

    StepTimes New(StepLoad load)
    {
        var flow = _flows.Of(_groups, load, stepsInFlight: _groups.Length);
        return new StepTimes([.. _stages.Select((stage, index) => flow.Stages[index].Of(stage.Layers.First, stage.Layers.Count).Total)], flow.Between.Total);
    }
}
