using System.Diagnostics;
using LlamaCluster.Cluster.Telemetry;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;

namespace LlamaCluster.Coordinator.Api.Answering;

/// <summary>
/// The span of a completion, with the attributes of OpenTelemetry's conventions for generative AI
/// (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/). Neither prompts nor answers are in it.
/// </summary>
static class RequestSpan
{
    /// <param name="operation">"chat" or "text_completion".</param>
    /// <returns>Null where the request is not traced.</returns>
    public static Activity? Start(string operation, ServedModel model, CompletionRequest request, string requestId)
    {
        if (Spans.Coordinator.StartActivity($"{operation} {model.Name}") is not { } span) return null;
        var settings = request.Settings;
        return span
            .SetTag("gen_ai.operation.name", operation)
            .SetTag("gen_ai.provider.name", "llamacluster")
            .SetTag("gen_ai.request.model", model.Name)
            .SetTag("gen_ai.request.max_tokens", settings.MaxTokens)
            .SetTag("gen_ai.request.temperature", settings.Sampling.Temperature)
            .SetTag("gen_ai.request.top_p", settings.Sampling.TopP)
            .SetTag("gen_ai.request.top_k", settings.Sampling.TopK == 0 ? null : settings.Sampling.TopK)
            .SetTag("gen_ai.request.frequency_penalty", settings.Sampling.FrequencyPenalty)
            .SetTag("gen_ai.request.presence_penalty", settings.Sampling.PresencePenalty)
            .SetTag("gen_ai.request.seed", settings.Seed)
            .SetTag("gen_ai.request.choice.count", settings.Choices == 1 ? null : settings.Choices)
            .SetTag("gen_ai.output.type", "text")
            .SetTag("llamacluster.request_id", requestId)
            .SetTag("llamacluster.stream", settings.Stream);
    }

    public static void Fail(Activity? span, ApiError error) =>
        span?.SetTag("error.type", error.Code ?? error.Type).SetStatus(ActivityStatusCode.Error, error.Message);

    /// <param name="id">Of the answer; null where its API gives none.</param>
    public static void End(Activity? span, string? id, ServedModel model, int promptTokens) =>
        span?.SetTag("gen_ai.response.id", id).SetTag("gen_ai.response.model", model.Name).SetTag("gen_ai.usage.input_tokens", promptTokens);

    /// <param name="id">Of the answer; null where its API gives none.</param>
    public static void End(Activity? span, string? id, ServedModel model, GenerationRun run, int promptTokens)
    {
        if (span is null) return;
        End(span, id, model, promptTokens);
        if (run.Error is { } error) Fail(span, error);
        span.SetTag("gen_ai.response.finish_reasons", run.EndReasons.Select(FinishReasons.WordOf).ToArray())
            .SetTag("gen_ai.usage.output_tokens", run.CompletionTokens)
            .SetTag("gen_ai.usage.cache_read.input_tokens", run.CachedTokens);
    }
}
