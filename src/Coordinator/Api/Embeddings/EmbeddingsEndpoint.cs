using System.Buffers.Binary;
using System.Text.Json;
using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Embeddings;

/// <summary>POST /v1/embeddings: https://platform.openai.com/docs/api-reference/embeddings/create.</summary>
sealed class EmbeddingsEndpoint(ServedModel model, RequestReader reader, Embedder embedder, ApiOptions options) : IEndpoint
{
    readonly EmbeddingRules _rules = new(model, options);

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if ((await reader.ReadAsync(http, _rules.Read)).Failed(out var badRequest, out var request)) return badRequest;
        if ((await embedder.RunAsync(http, request, "input")).Failed(out var error, out var answer)) return error;
        var vectors = answer.Vectors.Select((vector, index) => Part(vector, index, request.IsBase64));
        await JsonResponse.WritePartsAsync(http.Response, StatusCodes.Status200OK, [Begin, .. vectors, json => End(json, answer)]);
        return null;
    }

    static void Begin(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
    }

    static Action<Utf8JsonWriter> Part(float[] vector, int index, bool isBase64) => json =>
    {
        json.WriteStartObject();
        json.WriteString("object", "embedding");
        json.WriteNumber("index", index);
        if (isBase64) json.WriteBase64String("embedding", BytesOf(vector));
        else Vectors.Write(json, "embedding", vector);
        json.WriteEndObject();
    };

    static void End(Utf8JsonWriter json, EmbeddingAnswer answer)
    {
        json.WriteEndArray();
        json.WriteString("model", answer.Model);
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", answer.Tokens);
        json.WriteNumber("total_tokens", answer.Tokens);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    static byte[] BytesOf(float[] vector)
    {
        var bytes = new byte[vector.Length * sizeof(float)];
        for (var i = 0; i < vector.Length; i++) BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), vector[i]);
        return bytes;
    }
}

/// <summary>Vectors in JSON.</summary>
static class Vectors
{
    public static void Write(Utf8JsonWriter json, string name, float[] vector)
    {
        json.WriteStartArray(name);
        WriteNumbers(json, vector);
    }

    public static void Write(Utf8JsonWriter json, float[] vector)
    {
        json.WriteStartArray();
        WriteNumbers(json, vector);
    }

    static void WriteNumbers(Utf8JsonWriter json, float[] vector)
    {
        foreach (var number in vector) json.WriteNumberValue(number);
        json.WriteEndArray();
    }
}
