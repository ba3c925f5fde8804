using LlamaCluster.Coordinator.Api.Prompts;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>POST /v1/completions</summary>
sealed class CompletionsEndpoint(ServedModel model, PromptEncoder encoder, CompletionResponder responder) : IEndpoint
{
    readonly CompletionForm _form = new(new CompletionLogprobs(model.Tokenizer));

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if ((await JsonBody.ReadAsync(http, body => CompletionRequestRules.Read(body, model))).Failed(out var badRequest, out var request)) return badRequest;
        var prompts = request.Prompts.Select(prompt => encoder.Encode(prompt, request.AddSpecialTokens)).ToArray();
        foreach (var prompt in prompts)
            if (ContextRules.Check(prompt, request.Settings, model.ContextLength, "prompt") is { } tooLong) return tooLong;
        return await responder.AnswerAsync(http, prompts, request.Echo, request.Settings, _form);
    }
}
