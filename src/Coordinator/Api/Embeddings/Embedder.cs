using System.Diagnostics;
using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Embeddings;

/// <summary>The vectors of a request's texts, in their order.</summary>
/// <param name="Tokens">Of all texts together.</param>
/// <param name="Model">The name of what embedded them.</param>
sealed record EmbeddingAnswer(IReadOnlyList<float[]> Vectors, int Tokens, string Model);

/// <summary>Has texts embedded: each is a sequence of the cluster's pipeline, beside those of other requests.</summary>
sealed class Embedder(IGenerationEngine engine, ServedModel model, PromptEncoder encoder, ApiOptions options, CoordinatorMetrics metrics)
{
    /// <summary>Texts of one request that are queued at a time, so that a long list takes its place among the requests of others.</summary>
    const int AtATime = 16;

    /// <param name="field">The field that the texts came in, for errors.</param>
    public async Task<ApiOutcome<EmbeddingAnswer>> RunAsync(HttpContext http, EmbeddingRequest request, string field)
    {
        if (options.Pooling == Primitives.Pooling.None) return ApiError.NotImplemented("Embeddings are switched off here (--pooling none).");
        var status = engine.Status;
        if (!status.TakesSequences) return metrics.Count(ApiError.NotReady(status.Reason));
        using var span = RequestSpan.Start("embeddings", model, request.Texts, http.TraceIdentifier);
        var encoded = await encoder.EncodeAsync(request.Texts, field, ContextLimit.Of(model, status), http.RequestAborted);
        if (encoded.Failed(out var badText, out var texts)) return NotDone(span, badText);
        var tokens = texts.Sum(text => text.Ids.Count);
        var origin = RequestOrigin.Of(http, request.Texts.Settings);
        var outcome = await EmbedAllAsync([.. texts.Select(text => ToSequence(text, request.Texts, origin))], http.RequestAborted);
        if (outcome.Failed(out var failure, out var vectors)) return NotDone(span, failure);
        RequestAccount.Of(http)?.Add(tokens, 0);
        RequestSpan.End(span, null, model, tokens);
        return new EmbeddingAnswer([.. vectors.Select(request.Finish)], tokens, request.Texts.Adapter?.Name ?? model.Name);
    }

    ApiError NotDone(Activity? span, ApiError error)
    {
        RequestSpan.Fail(span, error);
        return metrics.Count(error);
    }

    static SequenceRequest ToSequence(EncodedPrompt text, CompletionRequest request, RequestOrigin origin) =>
        new(text.Ids, request.Settings.Sampling, MaxTokens: 0, request.Settings.StopIds)
        {
            Adapter = request.Adapter is { } adapter ? SequenceAdapter.Of(adapter) : null,
            Priority = origin.Priority,
            Client = origin.Client,
            CacheSalt = origin.Salt,
            RequestId = origin.RequestId,
            TraceParent = origin.TraceParent ?? "",
        };

    /// <summary>The first error ends all.</summary>
    async Task<ApiOutcome<float[][]>> EmbedAllAsync(IReadOnlyList<SequenceRequest> sequences, CancellationToken cancellation)
    {
        var vectors = new float[sequences.Count][];
        ApiError? error = null;
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var limits = new ParallelOptions { MaxDegreeOfParallelism = AtATime, CancellationToken = ending.Token };
        try
        {
            await Parallel.ForAsync(0, sequences.Count, limits, async (index, cancelled) =>
            {
                if ((await EmbedAsync(sequences[index], cancelled)).Failed(out var wrong, out vectors[index]!)
                    && Interlocked.CompareExchange(ref error, wrong, null) is null)
                    await ending.CancelAsync();
            });
        }
        catch (OperationCanceledException) when (error is not null)
        {
            return error;
        }
        return error is not null ? error : vectors;
    }

    async Task<ApiOutcome<float[]>> EmbedAsync(SequenceRequest sequence, CancellationToken cancellation)
    {
        await foreach (var happened in engine.GenerateAsync(sequence, cancellation))
        {
            switch (happened)
            {
                case SequenceEvent.Embedded embedded: return embedded.Vector.ToArray();
                case SequenceEvent.Refused refused: return SequenceErrors.Of(refused);
                case SequenceEvent.Failed failed: return SequenceErrors.Of(failed);
            }
        }
        return ApiError.Internal("The engine ended a text without its embedding.");
    }
}
