using LlamaCluster.Cluster.Telemetry;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>POST /v1/chat/completions</summary>
sealed class ChatCompletionsEndpoint(ServedModel model, CompletionResponder responder) : IEndpoint
{
    readonly ChatForm _form = new(model.Tokenizer);

    public Task<ApiError?> AnswerAsync(HttpContext http) => responder.AnswerAsync(http, fields => ChatRequestRules.Read(fields, model), "messages", _form, "chat");
}

/// <summary>POST /v1/completions</summary>
sealed class CompletionsEndpoint(ServedModel model, CompletionResponder responder) : IEndpoint
{
    readonly CompletionForm _form = new(model.Tokenizer);

    public Task<ApiError?> AnswerAsync(HttpContext http) => responder.AnswerAsync(http, fields => CompletionRequestRules.Read(fields, model), "prompt", _form, "text_completion");
}

/// <summary>The way of a completion from its body to its answer, whole or as a stream.</summary>
sealed class CompletionResponder(
    IGenerationEngine engine, ServedModel model, RequestReader reader, PromptEncoder encoder, CoordinatorMetrics metrics, TimeProvider time)
{
    /// <param name="promptField">The field that the prompts come in, for errors.</param>
    /// <param name="operation">What traces call it.</param>
    /// <returns>The error to answer with; null if the answer has been sent, or has begun to be.</returns>
    public async Task<ApiError?> AnswerAsync(
        HttpContext http, Func<FieldReader, CompletionRequest> rules, string promptField, IResponseForm form, string operation)
    {
        if ((await reader.ReadAsync(http, rules)).Failed(out var badRequest, out var request)) return badRequest;
        // Asked before prompts are encoded, which is work. The engine refuses what comes to it after it has stopped being ready.
        var status = engine.Status;
        if (!status.Ready) return Counted(ApiError.NotReady(status.Reason));
        var limit = ContextLimit.Of(model, status);
        using var span = RequestSpan.Start(operation, model, request, http.TraceIdentifier);
        if ((await EncodeAsync(request, promptField, limit, http.RequestAborted)).Failed(out var badPrompt, out var prompts))
            return badPrompt.Status == StatusCodes.Status503ServiceUnavailable ? Counted(badPrompt) : badPrompt;

        var settings = request.Settings;
        var least = limit.Tokens - prompts.Max(prompt => prompt.Ids.Count);
        if (settings.MaxTokens > least) RequestReader.AddAdjusted(http.Response, settings.MaxTokensField, least);
        var choices = new ChoicePlan(request, RequestOrigin.Of(http, settings.User), limit.Tokens).Make(prompts);
        RequestReader.Release(http);
        var run = new GenerationRun(engine, model.Tokenizer, choices);
        var envelope = new ResponseEnvelope(
            $"{form.IdPrefix}{Guid.NewGuid():N}", time.GetUtcNow().ToUnixTimeSeconds(), model, form,
            Scored: settings.Sampling.TopLogprobs is not null, UsageInChunks: settings.IncludeUsage)
        {
            NamesServiceTier = settings.NamesServiceTier,
        };
        var promptTokens = prompts.Sum(prompt => prompt.Ids.Count);
        var unsent = settings.Stream
            ? await new StreamedAnswer(http, run, envelope, promptTokens, settings.ContinuousUsage, time).SendAsync(choices.Count)
            : await SendWholeAsync(http, run, envelope, choices.Count, promptTokens);
        RequestSpan.End(span, envelope.Id, model, run, promptTokens);
        if (run is { Refused: true, Error: { } error }) Counted(error);
        foreach (var reason in run.FinishReasons) metrics.ChoicesFinished(reason == FinishReason.Stop ? SequenceOutcome.Stop : SequenceOutcome.Length);
        return unsent;
    }

    async Task<ApiOutcome<EncodedPrompt[]>> EncodeAsync(CompletionRequest request, string field, ContextLimit limit, CancellationToken cancellation)
    {
        using var span = Spans.Coordinator.StartActivity("encode");
        var received = time.GetTimestamp();
        var encoded = await encoder.EncodeAsync(request, field, limit, cancellation);
        metrics.PromptsEncoded(time.GetElapsedTime(received));
        return encoded;
    }

    ApiError Counted(ApiError refusal)
    {
        metrics.RequestsRefused(refusal.Code!);
        return refusal;
    }

    static async Task<ApiError?> SendWholeAsync(HttpContext http, GenerationRun run, ResponseEnvelope envelope, int count, int promptTokens)
    {
        var choices = Enumerable.Range(0, count).Select(_ => new WholeChoice()).ToArray();
        await foreach (var delta in run.RunAsync(http.RequestAborted)) choices[delta.Index].Add(delta);
        if (run.Error is { } error) return error;
        var usage = new Usage(promptTokens, run.CompletionTokens, run.CachedTokens);
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json => envelope.WriteWhole(json, choices, usage));
        return null;
    }
}
