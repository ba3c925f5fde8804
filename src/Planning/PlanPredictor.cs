using System.Globalization;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Search;

namespace LlamaCluster.Planning;

/// <summary>Predicts the performance of a plan. Pure.</summary>
public static class PlanPredictor
{
    /// <summary>A stage that works for at least this part of the time limits the plan.</summary>
    const double Busy = 0.95;

    /// <param name="stages">They use workers of the problem's cluster and cover the model's layers.</param>
    public static PlanPrediction Predict(PlanningProblem problem, IReadOnlyList<PlannedStage> stages)
    {
        StageGroup[] groups = [.. stages.Select(stage => StageGroup.Of(problem, [.. stage.Workers], stage.Shares))];
        int[] counts = [.. stages.Select(stage => stage.Layers.Count)];
        var flows = new SchemeFlows(problem);
        var one = flows.OfStreams(groups, streams: 1);
        var times = stages.Select((stage, index) => one.Stages[index].Of(stage.Layers.First, stage.Layers.Count)).ToList();
        var token = times.Aggregate(one.Between, (sum, time) => sum + time);
        var memory = stages.Zip(groups, (stage, group) =>
            Enumerable.Range(0, group.Workers.Length).Select(rank => group.MemoryOf(rank, stage.Layers.First, stage.Layers.Count)).ToList());
        return new PlanPrediction(
            token,
            [.. times.Zip(memory, (time, ranks) => new StagePrediction(time, ranks))],
            [.. StreamCounts(problem.Goal.Concurrency).Select(streams => StreamsOf(flows.OfStreams(groups, streams), counts, streams))],
            FirstToken(problem, flows, groups, counts),
            FullStep(problem.Goal, flows, groups, counts),
            problem.Goal.Objective == PlanObjective.Latency || problem.Goal.Concurrency == 1
                ? $"{Share(token)} of a token's time"
                : LimitOfThroughput(flows.OfStreams(groups, problem.Goal.Concurrency), stages, counts, problem.Goal.Concurrency));
    }

    static StreamPrediction StreamsOf(SchemeFlow flow, int[] counts, int streams)
    {
        var cycle = SchemeFlow.Seconds(LayerCounts.Of(counts, flow).Cycle);
        return new StreamPrediction(streams, streams / cycle, cycle);
    }

    /// <summary>The time of a prompt. It goes through the stages in chunks; as many chunks are in flight as there are stages.</summary>
    static double FirstToken(PlanningProblem problem, SchemeFlows flows, StageGroup[] groups, int[] counts)
    {
        var (goal, stages) = (problem.Goal, groups.Length);
        var rows = Math.Clamp((goal.PromptTokens + stages - 1) / stages, Math.Min(goal.LeastPromptRows, goal.PromptRows), goal.PromptRows);
        var chunks = (goal.PromptTokens + rows - 1) / rows;
        var load = new StepLoad(Math.Min(rows, goal.PromptTokens), SampledRows: 1, goal.PromptTokens / 2);
        var flow = flows.Of(groups, load, Math.Min(stages, chunks));
        var division = LayerCounts.Of(counts, flow);
        var each = Math.Max(division.Slowest, flow.Latency(division.Together) / stages);
        return SchemeFlow.Seconds(flow.Latency(division.Together) + (chunks - 1) * each);
    }

    /// <summary>The time of a step with the most prompt rows and every stream's next token.</summary>
    static double FullStep(PlanGoal goal, SchemeFlows flows, StageGroup[] groups, int[] counts)
    {
        var flow = flows.Of(groups, new StepLoad(goal.PromptRows + goal.Concurrency, goal.Concurrency, goal.Positions), groups.Length);
        return SchemeFlow.Seconds(flow.Latency(LayerCounts.Of(counts, flow).Together));
    }

    static string LimitOfThroughput(SchemeFlow flow, IReadOnlyList<PlannedStage> stages, int[] counts, int streams)
    {
        var division = LayerCounts.Of(counts, flow);
        if (flow.StepsInFlight * division.Slowest < Busy * division.Cycle)
            return Text($"{streams} streams do not keep {stages.Count} stages busy: ")
                + Text($"the slowest works {100.0 * flow.StepsInFlight * division.Slowest / division.Cycle:0} % of the time");
        var slowest = stages.Index().MaxBy(stage => flow.TimeOf(stage.Index, stage.Item.Layers.First, stage.Item.Layers.Count)).Index;
        var time = flow.Stages[slowest].Of(stages[slowest].Layers.First, stages[slowest].Layers.Count);
        return stages.Count == 1 ? $"{Share(time)} of a step's time" : $"stage {slowest} is the slowest: {Share(time)} of its time";
    }

    /// <summary>"reading weights 80 %", with the second cause if it matters too.</summary>
    static string Share(TimeParts time)
    {
        const double Matters = 0.15;
        var (first, second) = (time.Named[0], time.Named[1]);
        var line = Text($"{first.Name} {100 * first.Seconds / time.Total:0} %");
        return second.Seconds > Matters * time.Total ? $"{line} and {second.Name} {Text($"{100 * second.Seconds / time.Total:0} %")}" : line;
    }

    /// <summary>1, 2, 4... and <paramref name="most"/>.</summary>
    static IEnumerable<int> StreamCounts(int most)
    {
        for (var streams = 1; streams < most; streams *= 2) yield return streams;
        yield return most;
    }

    static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
