using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Cli.CapacityPlanning;

/// <summary>A plan as JSON, in bytes and seconds. All figures are predicted.</summary>
static class PlanJson
{
    public static string Of(PlanQuestion question, ClusterDescription cluster, PlanningProblem problem, PlannedPipeline plan) => JsonSerializer.Serialize(new
    {
        predicted = true,
        model = question.Model.Footprint.Name,
        weight_bytes = question.Model.Footprint.Bytes - question.Model.RoomBytes,
        adapter_room_bytes = question.Model.RoomBytes,
        active_weight_bytes = question.Model.Footprint.ActiveBytes,
        cluster = cluster.Name,
        workers = problem.Cluster.Workers.Count,
        hosts = problem.Cluster.Hosts.Count,
        objective = question.Objective.ToString().ToLowerInvariant(),
        context = question.Positions,
        concurrency = question.Streams,
        stages = plan.Stages.Zip(plan.Prediction.Stages, (stage, prediction) => new
        {
            first_layer = stage.Layers.First,
            layers = stage.Layers.Count,
            experts = problem.Model.HasExperts ? stage.Shares.ExpertsWord : null,
            seconds_per_token = prediction.OneToken.Total,
            workers = stage.Workers.Select((worker, rank) => new
            {
                name = problem.Cluster.Workers[worker].Name,
                share = stage.Shares[rank],
                memory_bytes = (long)prediction.Memory[rank].Total,
                weight_bytes = (long)prediction.Memory[rank].Weights,
                kv_bytes = (long)prediction.Memory[rank].Kv,
                memory_limit_bytes = problem.Cluster.Workers[worker].MemoryBytes,
            }),
        }),
        seconds_per_token = plan.Prediction.OneToken.Total,
        seconds_per_token_by_cause = PartsOf(plan.Prediction.OneToken),
        time_to_first_token_seconds = plan.Prediction.FirstTokenSeconds,
        prompt_tokens = problem.Goal.PromptTokens,
        streams = plan.Prediction.Streams.Select(streams => new
        {
            streams = streams.Streams,
            tokens_per_second = streams.TokensPerSecond,
            seconds_per_token = streams.SecondsPerToken,
        }),
        limit = plan.Prediction.Limit,
        choice = plan.Choice,
    });

    static JsonObject PartsOf(TimeParts token) => new()
    {
        ["weights"] = token.Weights,
        ["arithmetic"] = token.Arithmetic,
        ["attention"] = token.Attention,
        ["exchange"] = token.Exchange,
        ["transfer"] = token.Transfer,
        ["program"] = token.Program,
    };
}
