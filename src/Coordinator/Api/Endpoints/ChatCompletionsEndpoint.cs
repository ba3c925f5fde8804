using LlamaCluster.Coordinator.Api.Prompts;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>POST /v1/chat/completions</summary>
sealed class ChatCompletionsEndpoint(ServedModel model, PromptEncoder prompts, CompletionResponder responder) : IEndpoint
{
    readonly ChatForm _form = new(new ChatLogprobs(model.Tokenizer));

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if ((await JsonBody.ReadAsync(http, body => ChatRequestRules.Read(body, model))).Failed(out var badRequest, out var request)) return badRequest;
        if (prompts.Encode(request.Messages, request.AddGenerationPrompt, request.AddSpecialTokens).Failed(out var badPrompt, out var prompt)) return badPrompt;
        if (ContextRules.Check(prompt, request.Settings, model.ContextLength, "messages") is { } tooLong) return tooLong;
        return await responder.AnswerAsync(http, [prompt], echo: false, request.Settings, _form);
    }
}
