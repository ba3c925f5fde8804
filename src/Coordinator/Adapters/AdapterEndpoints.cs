using System.Net.Mime;
using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Endpoints;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace LlamaCluster.Coordinator.Adapters;

/// <summary>
/// vLLM's addresses for loading and unloading adapters (https://docs.vllm.ai/en/latest/features/lora/#dynamically-serving-lora-adapters), which answer in
/// plain text, and errors as all addresses here do.
/// </summary>
static class AdapterRoutes
{
    static readonly string[] Post = [HttpMethods.Post];

    public static IEndpointRouteBuilder MapAdapterChanges(this IEndpointRouteBuilder routes)
    {
        routes.Map<LoadAdapterEndpoint>("/v1/load_lora_adapter", Post, ApiScopes.Admin);
        routes.Map<UnloadAdapterEndpoint>("/v1/unload_lora_adapter", Post, ApiScopes.Admin);
        return routes;
    }

    public static async Task<ApiError?> DoneAsync(HttpContext http, string name, string what)
    {
        http.Response.ContentType = MediaTypeNames.Text.Plain;
        await http.Response.WriteAsync($"Success: LoRA adapter '{name}' {what} successfully.", http.RequestAborted);
        return null;
    }

    public static ApiError IsOff(HttpContext http) => ApiError.UnknownPath(
        $"{http.Request.Method} {http.Request.Path}", "Adapters are loaded at the start only: the coordinator was started without --lora-dir.");

    public static string Required(this FieldReader fields, string name)
    {
        var value = fields.Text(name);
        if (string.IsNullOrEmpty(value)) fields.Refuse(name, $"'{name}' is required.");
        return value ?? "";
    }
}

/// <summary>POST /v1/load_lora_adapter</summary>
sealed class LoadAdapterEndpoint(AdapterChanges changes, RequestReader reader) : IEndpoint
{
    sealed record Request(string Name, string Path, bool InPlace);

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if ((await reader.ReadAsync(http, Read)).Failed(out var wrong, out var asked)) return wrong;
        var name = JsonText.Shorten(asked.Name);
        var (outcome, problem) = await changes.LoadAsync(asked.Name, asked.Path, asked.InPlace, http.RequestAborted);
        return outcome switch
        {
            AdapterOutcome.Done => await AdapterRoutes.DoneAsync(http, name, "added"),
            AdapterOutcome.IsOff => AdapterRoutes.IsOff(http),
            AdapterOutcome.IsThere => ApiError.Invalid(
                "lora_name", $"A model '{name}' is loaded already. For another adapter in its place, set 'load_inplace' to true."),
            AdapterOutcome.NotFound => ApiError.NoAdapter("lora_path", $"There is no adapter {JsonText.Shorten(asked.Path)} in the folders of --lora-dir."),
            _ => ApiError.Invalid(null, $"The adapter '{name}' is not loaded: {problem}.", "adapter_not_loaded"),
        };
    }

    static Request Read(FieldReader fields)
    {
        fields.Bookkeeping("lora_int_id");
        fields.Neutral("is_3d_lora_weight", Neutral.False, "other than false is not supported: adapters do not change experts");
        return new Request(fields.Required("lora_name"), fields.Required("lora_path"), fields.Flag("load_inplace"));
    }
}

/// <summary>POST /v1/unload_lora_adapter</summary>
sealed class UnloadAdapterEndpoint(AdapterChanges changes, RequestReader reader) : IEndpoint
{
    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if ((await reader.ReadAsync(http, Read)).Failed(out var wrong, out var asked)) return wrong;
        var name = JsonText.Shorten(asked);
        return changes.Unload(asked) switch
        {
            AdapterOutcome.Done => await AdapterRoutes.DoneAsync(http, name, "removed"),
            AdapterOutcome.IsOff => AdapterRoutes.IsOff(http),
            _ => ApiError.NoAdapter("lora_name", $"There is no adapter '{name}'."),
        };
    }

    static string Read(FieldReader fields)
    {
        fields.Bookkeeping("lora_int_id");
        return fields.Required("lora_name");
    }
}
