using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>chat.completion and chat.completion.chunk.</summary>
sealed class ChatForm(ChatLogprobs logprobs) : IResponseForm
{
    public string IdPrefix => "chatcmpl-";

    public string WholeObject => "chat.completion";

    public string ChunkObject => "chat.completion.chunk";

    public bool OpensStreams => true;

    public void WriteOpening(Utf8JsonWriter json)
    {
        json.WriteStartObject("delta");
        json.WriteString("role", "assistant");
        json.WriteString("content", "");
        json.WriteEndObject();
        json.WriteNull("logprobs");
    }

    public void WriteDelta(Utf8JsonWriter json, string text, IReadOnlyList<TokenScore> scores, bool scored)
    {
        json.WriteStartObject("delta");
        if (text.Length > 0 || scores.Count > 0) json.WriteString("content", text);
        json.WriteEndObject();
        logprobs.Write(json, scores, scored && scores.Count > 0);
    }

    public void WriteWhole(Utf8JsonWriter json, string text, IReadOnlyList<TokenScore> scores, bool scored)
    {
        json.WriteStartObject("message");
        json.WriteString("role", "assistant");
        json.WriteString("content", text);
        json.WriteNull("refusal");
        json.WriteEndObject();
        logprobs.Write(json, scores, scored);
    }
}
