using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Anthropic;

/// <summary>POST /v1/messages</summary>
sealed class MessagesEndpoint(ServedModel model, CompletionResponder responder) : IEndpoint
{
    public Task<ApiError?> AnswerAsync(HttpContext http)
        => responder.AnswerAsync(http, fields => MessagesRules.Read(fields, model), "messages", "chat", facts => new MessagesAnswer(facts));
}

/// <summary>POST /v1/messages/count_tokens: how many tokens the prompt of such a message would have.</summary>
sealed class CountTokensEndpoint(ServedModel model, RequestReader reader, PromptEncoder encoder) : IEndpoint
{
    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if ((await reader.ReadAsync(http, Read)).Failed(out var badRequest, out var request)) return badRequest;
        var tokenized = await encoder.TokenizeAsync(request.Model, request.Prompt, addSpecialTokens: false, http.RequestAborted);
        if (tokenized.Failed(out var badPrompt, out var ids)) return badPrompt;
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteNumber("input_tokens", ids.Count);
            json.WriteEndObject();
        });
        return null;
    }

    Request Read(FieldReader fields)
    {
        var prompt = MessagesRules.ReadPrompt(fields, model);
        return new Request(model.Named(fields.Adapter), prompt);
    }

    sealed record Request(ServedModel Model, RawPrompt Prompt);
}
