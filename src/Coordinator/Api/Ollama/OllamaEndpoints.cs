using System.Text.Json;
using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Ollama;

/// <summary>POST /api/chat</summary>
sealed class OllamaChatEndpoint(ServedModel model, CompletionResponder responder, TimeProvider time) : IEndpoint
{
    public Task<ApiError?> AnswerAsync(HttpContext http) => responder.AnswerAsync(
        http, fields => OllamaRules.ReadChat(fields, model), "messages", "chat", facts => new OllamaAnswer(facts, time, isChat: true),
        request => OllamaRules.IsOnlyLoad(request) ? OllamaLoad.AnswerAsync(http, model, time, isChat: true) : null);
}

/// <summary>POST /api/generate</summary>
sealed class OllamaGenerateEndpoint(ServedModel model, CompletionResponder responder, TimeProvider time) : IEndpoint
{
    public Task<ApiError?> AnswerAsync(HttpContext http) => responder.AnswerAsync(
        http, fields => OllamaRules.ReadGenerate(fields, model), "prompt", "text_completion", facts => new OllamaAnswer(facts, time, isChat: false),
        request => OllamaRules.IsOnlyLoad(request) ? OllamaLoad.AnswerAsync(http, model, time, isChat: false) : null);
}

/// <summary>The answer to a request that only wants the model in memory, where it is.</summary>
static class OllamaLoad
{
    public static Task AnswerAsync(HttpContext http, ServedModel model, TimeProvider time, bool isChat) => JsonResponse.WriteAsync(http.Response, 200, json =>
    {
        json.WriteStartObject();
        json.WriteString("model", model.Name);
        json.WriteString("created_at", time.GetUtcNow().UtcDateTime);
        if (isChat)
        {
            json.WriteStartObject("message");
            json.WriteString("role", "assistant");
            json.WriteString("content", "");
            json.WriteEndObject();
        }
        else
        {
            json.WriteString("response", "");
        }
        json.WriteBoolean("done", true);
        json.WriteString("done_reason", "load");
        json.WriteEndObject();
    });
}

/// <summary>GET /api/version</summary>
sealed class OllamaVersionEndpoint : IEndpoint
{
    /// <summary>The version of Ollama whose API this is. Clients look whether a server is new enough for them.</summary>
    const string Version = "0.13.0";

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteString("version", Version);
            json.WriteEndObject();
        });
        return null;
    }
}

/// <summary>GET /api/tags, the models that there are, and GET /api/ps, those that are loaded.</summary>
sealed class OllamaModelsEndpoint(IGenerationEngine engine, ServedModel model) : IEndpoint
{
    /// <summary>The model stays loaded while the cluster runs. Readers want a date.</summary>
    static readonly DateTime Never = new(2318, 1, 1, 0, 0, 0, DateTimeKind.Utc);

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        var loadedOnly = http.Request.Path.Value!.TrimEnd('/').EndsWith("/ps", StringComparison.OrdinalIgnoreCase);
        var status = engine.Status;
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteStartArray("models");
            if (!loadedOnly || status.Ready)
                foreach (var one in model.Adapters.All.Select(model.Named).Prepend(model))
                    WriteModel(json, one, loadedOnly, ContextLimit.Of(model, status).Tokens);
            json.WriteEndArray();
            json.WriteEndObject();
        });
        return null;
    }

    static void WriteModel(Utf8JsonWriter json, ServedModel one, bool isLoaded, int context)
    {
        json.WriteStartObject();
        json.WriteString("name", one.Name);
        json.WriteString("model", one.Name);
        if (!isLoaded) json.WriteString("modified_at", one.Created.UtcDateTime);
        json.WriteNumber("size", one.Size.Bytes);
        json.WriteString("digest", one.Digest[(one.Digest.LastIndexOf(':') + 1)..]);
        OllamaDetails.Write(json, one);
        if (isLoaded)
        {
            json.WriteString("expires_at", Never);
            json.WriteNumber("size_vram", 0);
            json.WriteNumber("context_length", context);
        }
        json.WriteEndObject();
    }
}

/// <summary>POST /api/show: what there is to know of a model.</summary>
sealed class OllamaShowEndpoint(IGenerationEngine engine, ServedModel model, RequestReader reader, ApiOptions options) : IEndpoint
{
    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if ((await reader.ReadAsync(http, Read)).Failed(out var wrong, out _)) return wrong;
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, Write);
        return null;
    }

    object Read(FieldReader fields)
    {
        OllamaRules.ReadModel(fields, fields.Find("name") is null ? "model" : "name", model);
        if (fields.Find("name") is not null) fields.Bookkeeping("model");   // clients send both
        fields.Bookkeeping("verbose");
        fields.Hint("system", Neutral.EmptyText, "is not supported");
        fields.Hint("template", Neutral.EmptyText, "is not supported");
        fields.Hint("options", Neutral.Never, "is not supported");
        return this;
    }

    void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("modelfile", $"FROM {model.Name}");
        json.WriteString("parameters", "");
        json.WriteString("template", model.Template?.Source ?? "");
        OllamaDetails.Write(json, model);
        json.WriteStartObject("model_info");
        json.WriteString("general.architecture", "llama");
        if (model.HiddenSize > 0) json.WriteNumber("llama.embedding_length", model.HiddenSize);
        json.WriteString("general.basename", model.Name);
        json.WriteNumber("general.parameter_count", model.Size.Parameters);
        json.WriteNumber("llama.context_length", ContextLimit.Of(model, engine.Status).Tokens);
        json.WriteNumber("llama.vocab_size", model.Tokenizer.VocabularySize);
        json.WriteEndObject();
        json.WriteStartArray("capabilities");
        json.WriteStringValue("completion");
        if (options.Pooling != Pooling.None) json.WriteStringValue("embedding");
        if (model.Template is not null) json.WriteStringValue("tools");
        if (model.Template is { KnowsReasoning: true }) json.WriteStringValue("thinking");
        json.WriteEndArray();
        json.WriteString("modified_at", model.Created.UtcDateTime);
        json.WriteEndObject();
    }
}

static class OllamaDetails
{
    public static void Write(Utf8JsonWriter json, ServedModel model)
    {
        json.WriteStartObject("details");
        json.WriteString("parent_model", model.Parent ?? "");
        json.WriteString("format", "gguf");
        json.WriteString("family", "llama");
        json.WriteStartArray("families");
        json.WriteStringValue("llama");
        json.WriteEndArray();
        json.WriteString("parameter_size", model.Size.ParametersText);
        json.WriteString("quantization_level", model.Size.Quantization);
        json.WriteEndObject();
    }
}

/// <summary>Addresses of Ollama's that are for keeping models on its own disk.</summary>
sealed class OllamaMissingEndpoint : IEndpoint
{
    public Task<ApiError?> AnswerAsync(HttpContext http) => Task.FromResult<ApiError?>(ApiError.NotImplemented(
        "Models are not managed through the API: a coordinator serves the one model that it was started with (--model)."));
}
