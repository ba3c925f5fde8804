using System.Text.Json;
using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Primitives;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Observing;

/// <summary>POST /v1/cluster/plan: what the planner says of another cluster. A plan that is refused is an answer like any other.</summary>
sealed class WhatIfEndpoint(Lazy<WhatIf> whatIf, RequestReader reader) : IEndpoint
{
    const double Microsecond = 1e-6;
    const long MostMemory = 1L << 50;
    const long MostRate = 1L << 42;
    const int MostStreams = 4096;

    /// <summary>For other questions to be answered first.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if ((await reader.ReadAsync(http, Read)).Failed(out var badRequest, out var question)) return badRequest;
        try
        {
            if (await whatIf.Value.AskAsync(question, Patience, http.RequestAborted) is not { } answer)
                return ApiError.AllTaken("The planner reckons with other questions. Ask again later.");
            await JsonResponse.WriteAsync(
                http.Response, StatusCodes.Status200OK, json => JsonSerializer.Serialize(json, answer, ClusterJson.Default.WhatIfAnswer));
            return null;
        }
        catch (ModelFormatException wrong)
        {
            return ApiError.Invalid("quantization", $"'quantization' cannot be {JsonText.Shorten(question.Quantization ?? "")}: {wrong.Message}");
        }
    }

    static WhatIfQuestion Read(FieldReader fields) => new(
        fields.Count("workers", 1, WhatIf.MostWorkers),
        fields.Integer("memory_bytes", 1, MostMemory),
        fields.Text("quantization"),
        fields.Integer("link_bytes_per_second", 1, MostRate),
        fields.Integer("link_round_trip_microseconds", 1, 10_000_000) * Microsecond,
        fields.Count("tensor_parallel", 0, WhatIf.MostWorkers),
        fields.Count("streams", 1, MostStreams),
        WordOf<PlanObjective>(fields, "objective"))
    {
        ExpertParallel = WordOf<ExpertParallel>(fields, "expert_parallel"),
    };

    /// <summary>A field that names one of a few values, in lower case.</summary>
    static T? WordOf<T>(FieldReader fields, string name)
        where T : struct, Enum
    {
        if (fields.Text(name) is not { } given) return null;
        foreach (var value in Enum.GetValues<T>())
            if (given == value.ToString().ToLowerInvariant()) return value;
        fields.Refuse(name, $"'{name}' must be {string.Join(" or ", Enum.GetNames<T>().Select(word => word.ToLowerInvariant()))}.");
        return null;
    }
}
