using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>POST /v1/chat/completions</summary>
sealed class ChatCompletionsEndpoint(ServedModel model, CompletionResponder responder) : IEndpoint
{
    public Task<ApiError?> AnswerAsync(HttpContext http)
        => responder.AnswerAsync(
            http, fields => ChatRequestRules.Read(fields, model), "messages", "chat",
            facts => new CompletionAnswer(facts, new ChatForm(facts.Model.Tokenizer)));
}

/// <summary>POST /v1/completions</summary>
sealed class CompletionsEndpoint(ServedModel model, CompletionResponder responder) : IEndpoint
{
    public Task<ApiError?> AnswerAsync(HttpContext http)
        => responder.AnswerAsync(
            http, fields => CompletionRequestRules.Read(fields, model), "prompt", "text_completion",
            facts => new CompletionAnswer(facts, new CompletionForm(facts.Model.Tokenizer)));
}
