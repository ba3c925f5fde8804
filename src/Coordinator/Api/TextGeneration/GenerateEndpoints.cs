using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Coordinator.Generation;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.TextGeneration;

/// <summary>POST /generate, /generate_stream, and / for both: Text Generation Inference's API.</summary>
sealed class GenerateEndpoint(ServedModel model, CompletionResponder responder) : IEndpoint
{
    public Task<ApiError?> AnswerAsync(HttpContext http)
    {
        bool? stream = http.Request.Path.Value!.Trim('/') switch { "generate" => false, "generate_stream" => true, _ => null };
        var before = "";
        return responder.AnswerAsync(
            http, fields => GenerateRules.Read(fields, model, stream, out before), "inputs", "text_completion",
            facts => new GenerateAnswer(facts, before, isList: stream is null));
    }
}

/// <summary>GET /info: what clients of Text Generation Inference ask of a server.</summary>
sealed class InfoEndpoint(IGenerationEngine engine, ServedModel model, EngineOptions options) : IEndpoint
{
    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        var context = ContextLimit.Of(model, engine.Status).Tokens;
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteString("model_id", model.Name);
            json.WriteString("model_sha", model.Digest);
            json.WriteString("model_dtype", model.Size.Quantization);
            json.WriteString("model_device_type", "cpu");
            json.WriteString("model_pipeline_tag", "text-generation");
            json.WriteNumber("max_concurrent_requests", options.MaxRunning);
            json.WriteNumber("max_best_of", 1);
            json.WriteNumber("max_stop_sequences", ApiLimits.Stops);
            json.WriteNumber("max_input_tokens", context - 1);
            json.WriteNumber("max_total_tokens", context);
            json.WriteString("router", "llamacluster");
            json.WriteString("version", "3.0.0");
            json.WriteEndObject();
        });
        return null;
    }
}
