using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Prompts;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>Runs the choices of a completion and answers with them, whole or as a stream.</summary>
sealed class CompletionResponder(IGenerationEngine engine, ServedModel model, CoordinatorMetrics metrics, TimeProvider time)
{
    /// <returns>The error to answer with, if nothing has been sent yet.</returns>
    public async Task<ApiError?> AnswerAsync(HttpContext http, IReadOnlyList<EncodedPrompt> prompts, bool echo, GenerationSettings settings, IResponseForm form)
    {
        if (engine.Status is { Ready: false } status) return Refused(ApiError.NotReady(status.Reason));
        var run = new GenerationRun(engine, model.Tokenizer, ChoicePlan.Make(prompts, echo, settings, ClientIdentity.Of(http, settings.User), model.ContextLength));
        var envelope = new ResponseEnvelope(
            $"{form.IdPrefix}{Guid.NewGuid():N}", time.GetUtcNow().ToUnixTimeSeconds(), model, form, settings.Sampling.TopLogprobs is not null, settings.IncludeUsage);
        var promptTokens = prompts.Sum(prompt => prompt.Ids.Count);
        var unsent = settings.Stream
            ? await StreamAsync(http, run, envelope, prompts.Count * settings.Choices, promptTokens)
            : await WholeAsync(http, run, envelope, prompts.Count * settings.Choices, promptTokens);
        if (run is { Refused: true, Error: { } error }) Refused(error);
        return unsent;
    }

    ApiError Refused(ApiError error)
    {
        metrics.RequestRefused(error.Code!);
        return error;
    }

    static async Task<ApiError?> WholeAsync(HttpContext http, GenerationRun run, ResponseEnvelope envelope, int count, int promptTokens)
    {
        var choices = Enumerable.Range(0, count).Select(_ => new WholeChoice()).ToArray();
        await foreach (var delta in run.RunAsync(http.RequestAborted)) choices[delta.Index].Add(delta);
        if (run.Error is { } error) return error;
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json => envelope.WriteWhole(json, choices, new(promptTokens, run.CompletionTokens, run.CachedTokens)));
        return null;
    }

    /// <summary>The stream opens with the first text, so that a request that fails before it has a status of its own.</summary>
    static async Task<ApiError?> StreamAsync(HttpContext http, GenerationRun run, ResponseEnvelope envelope, int count, int promptTokens)
    {
        SseStream? events = null;
        try
        {
            await foreach (var delta in run.RunAsync(http.RequestAborted))
            {
                events ??= await OpenAsync(http, envelope, count);
                await SendAsync(events, envelope, delta, http.RequestAborted);
            }
            if (events is null) return run.Error ?? ApiError.Internal("No choice was made.");
            if (run.Error is { } error) await events.FailAsync(error, http.RequestAborted);
            else await CloseAsync(events, envelope, new(promptTokens, run.CompletionTokens, run.CachedTokens), http.RequestAborted);
            return null;
        }
        finally
        {
            events?.Dispose();
        }
    }

    static async Task<SseStream> OpenAsync(HttpContext http, ResponseEnvelope envelope, int count)
    {
        var events = SseStream.Open(http.Response);
        for (var index = 0; index < count && envelope.Form.OpensStreams; index++)
        {
            envelope.WriteOpeningChunk(events.Begin(), index);
            await events.EndAsync(http.RequestAborted);
        }
        return events;
    }

    static async Task SendAsync(SseStream events, ResponseEnvelope envelope, ChoiceDelta delta, CancellationToken cancellation)
    {
        if (delta.Text.Length > 0 || delta.Scores.Count > 0)
        {
            envelope.WriteDeltaChunk(events.Begin(), delta);
            await events.EndAsync(cancellation);
        }
        if (delta.Finish is not { } finish) return;
        envelope.WriteFinishChunk(events.Begin(), delta.Index, finish);
        await events.EndAsync(cancellation);
    }

    static async Task CloseAsync(SseStream events, ResponseEnvelope envelope, Usage usage, CancellationToken cancellation)
    {
        if (envelope.UsageInChunks)
        {
            envelope.WriteUsageChunk(events.Begin(), usage);
            await events.EndAsync(cancellation);
        }
        await events.DoneAsync(cancellation);
    }
}
