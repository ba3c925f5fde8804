using System.Text.Json;
using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Embeddings;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Ollama;

/// <summary>POST /api/embed: vectors of length 1 of one text or several. Texts that are too long are cut, as Ollama does unless told not to.</summary>
sealed class OllamaEmbedEndpoint(ServedModel model, RequestReader reader, Embedder embedder, ApiOptions options, TimeProvider time) : IEndpoint
{
    readonly EmbeddingRules _rules = new(model, options);

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        var received = time.GetTimestamp();
        if ((await reader.ReadAsync(http, Read)).Failed(out var badRequest, out var request)) return badRequest;
        if ((await embedder.RunAsync(http, request, "input")).Failed(out var error, out var answer)) return error;
        var vectors = answer.Vectors.Select<float[], Action<Utf8JsonWriter>>(vector => json => Vectors.Write(json, vector));
        await JsonResponse.WritePartsAsync(
            http.Response, StatusCodes.Status200OK,
            [json => Begin(json, answer.Model), .. vectors, json => End(json, answer, time.GetElapsedTime(received))]);
        return null;
    }

    EmbeddingRequest Read(FieldReader fields)
    {
        OllamaEmbedFields.ReadShared(fields, model);
        var texts = _rules.ReadTexts(fields);
        return new EmbeddingRequest(_rules.Of(texts, addSpecialTokens: true, fields) with { CutsPrompts = fields.Flag("truncate", otherwise: true) })
        {
            Dimensions = fields.Count("dimensions", 1, _rules.MostDimensions),
        };
    }

    static void Begin(Utf8JsonWriter json, string name)
    {
        json.WriteStartObject();
        json.WriteString("model", name);
        json.WriteStartArray("embeddings");
    }

    static void End(Utf8JsonWriter json, EmbeddingAnswer answer, TimeSpan took)
    {
        json.WriteEndArray();
        json.WriteNumber("total_duration", (long)took.TotalNanoseconds);
        json.WriteNumber("load_duration", 0);
        json.WriteNumber("prompt_eval_count", answer.Tokens);
        json.WriteEndObject();
    }
}

/// <summary>POST /api/embeddings, the older address: the vector of one text, as it is.</summary>
sealed class OllamaEmbeddingsEndpoint(ServedModel model, RequestReader reader, Embedder embedder, ApiOptions options) : IEndpoint
{
    readonly EmbeddingRules _rules = new(model, options);

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if ((await reader.ReadAsync(http, Read)).Failed(out var badRequest, out var request)) return badRequest;
        if ((await embedder.RunAsync(http, request, "prompt")).Failed(out var error, out var answer)) return error;
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            Vectors.Write(json, "embedding", answer.Vectors[0]);
            json.WriteEndObject();
        });
        return null;
    }

    EmbeddingRequest Read(FieldReader fields)
    {
        OllamaEmbedFields.ReadShared(fields, model);
        var text = CompletionRequestRules.ReadText(fields, "'prompt' is required.");
        return new EmbeddingRequest(_rules.Of([text], addSpecialTokens: true, fields) with { CutsPrompts = true }) { Normalizes = false };
    }
}

static class OllamaEmbedFields
{
    public static void ReadShared(FieldReader fields, ServedModel model)
    {
        OllamaRules.ReadModel(fields, "model", model);
        fields.Bookkeeping("keep_alive");   // the model stays loaded as long as the cluster runs
        fields.Hint("options", Neutral.Never, "is not supported for embeddings");
    }
}
