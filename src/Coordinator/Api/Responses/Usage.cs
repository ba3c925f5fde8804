using System.Text.Json;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>Tokens of a request: each prompt once, however many choices continue it; answers with the stop ids that ended them.</summary>
/// <param name="CachedTokens">Of the prompts' tokens, those that were not computed again.</param>
readonly record struct Usage(int PromptTokens, int CompletionTokens, int CachedTokens)
{
    public void WriteTo(Utf8JsonWriter json)
    {
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", PromptTokens);
        json.WriteNumber("completion_tokens", CompletionTokens);
        json.WriteNumber("total_tokens", PromptTokens + CompletionTokens);
        json.WriteStartObject("prompt_tokens_details");
        json.WriteNumber("cached_tokens", CachedTokens);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
