using System.Text.Json;
using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Coordinator.Generation;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>GET /v1/models and /v1/models/{id}</summary>
sealed class ModelsEndpoint(IGenerationEngine engine, ServedModel model) : IEndpoint
{
    /// <summary>Route value of the second address; a model's name may have slashes.</summary>
    public const string Id = "id";

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if (http.Request.RouteValues.TryGetValue(Id, out var asked) && asked is string { Length: > 0 } written)
        {
            var name = written.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase); // the one escape that the server leaves in a path
            if (All().FirstOrDefault(one => one.Name == name) is not { } named) return ApiError.UnknownModel(JsonText.Shorten(name), model.Names);
            await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json => WriteModel(json, named));
        }
        else
        {
            await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, WriteList);
        }
        return null;
    }

    /// <summary>The model, and what adapters make of it.</summary>
    IEnumerable<ServedModel> All() => model.Adapters.All.Select(model.Named).Prepend(model);

    void WriteList(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        foreach (var one in All()) WriteModel(json, one);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    void WriteModel(Utf8JsonWriter json, ServedModel one)
    {
        json.WriteStartObject();
        json.WriteString("id", one.Name);
        json.WriteString("object", "model");
        json.WriteNumber("created", one.Created.ToUnixTimeSeconds());
        json.WriteString("owned_by", "llamacluster");
        if (one.Parent is { } parent)
        {
            json.WriteString("root", parent);
            json.WriteString("parent", parent);
        }
        json.WriteNumber("max_model_len", ContextLimit.Of(model, engine.Status).Tokens);
        json.WriteEndObject();
    }
}

/// <summary>GET /health: the process is alive, whatever the model does.</summary>
sealed class HealthEndpoint : IEndpoint
{
    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteString("status", "alive");
            json.WriteEndObject();
        });
        return null;
    }
}

/// <summary>
/// GET /ready: 200 while the model is loaded on all stages, else 503 and why; and how many workers there are, and what for. Where keys are asked for, who
/// shows none is told no more than whether, which is what probes and load balancers need.
/// </summary>
sealed class ReadyEndpoint(IGenerationEngine engine) : IEndpoint
{
    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        var status = engine.Status;
        if (!status.Ready) http.Response.Headers.RetryAfter = "2";
        await JsonResponse.WriteAsync(http.Response, status.Ready ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable, json =>
        {
            json.WriteStartObject();
            json.WriteBoolean("ready", status.Ready);
            if (http.Features.Get<ApiCaller>() == ApiCaller.Stranger)
            {
                json.WriteEndObject();
                return;
            }
            if (!status.Ready) json.WriteString("reason", status.Reason);
            if (status.IsRecovering) json.WriteBoolean("recovering", true);
            if (status.Workers is { } workers) Write(json, workers);
            json.WriteEndObject();
        });
        return null;
    }

    static void Write(Utf8JsonWriter json, WorkerCounts workers)
    {
        json.WriteStartObject("workers");
        json.WriteNumber("wanted", workers.Wanted);
        json.WriteNumber("serving", workers.Serving);
        json.WriteNumber("spare", workers.Spare);
        json.WriteNumber("suspected", workers.Suspected);
        json.WriteNumber("set_aside", workers.SetAside);
        json.WriteEndObject();
    }
}

/// <summary>GET /props: what clients of llama.cpp's server ask for, to learn how long a conversation may get.</summary>
sealed class PropsEndpoint(IGenerationEngine engine, ServedModel model, EngineOptions options) : IEndpoint
{
    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        var context = ContextLimit.Of(model, engine.Status).Tokens;
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteStartObject("default_generation_settings");
            json.WriteNumber("n_ctx", context);
            json.WriteEndObject();
            json.WriteNumber("total_slots", options.MaxRunning);
            json.WriteString("model_alias", model.Name);
            json.WriteString("bos_token", model.BosText);
            json.WriteString("eos_token", model.EosText);
            json.WriteEndObject();
        });
        return null;
    }
}
