using System.Text;
using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Text;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>The objects chat.completion and chat.completion.chunk.</summary>
sealed class ChatForm(ITokenizer tokenizer) : IResponseForm
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
        WriteLogprobs(json, scores, scored && scores.Count > 0);
    }

    public void WriteWhole(Utf8JsonWriter json, string text, IReadOnlyList<TokenScore> scores, bool scored)
    {
        json.WriteStartObject("message");
        json.WriteString("role", "assistant");
        json.WriteString("content", text);
        json.WriteNull("refusal");
        json.WriteEndObject();
        WriteLogprobs(json, scores, scored);
    }

    /// <summary>{"content":[{"token","logprob","bytes","top_logprobs":[...]}],"refusal":null}</summary>
    void WriteLogprobs(Utf8JsonWriter json, IReadOnlyList<TokenScore> scores, bool scored)
    {
        if (!scored)
        {
            json.WriteNull("logprobs");
            return;
        }
        json.WriteStartObject("logprobs");
        json.WriteStartArray("content");
        foreach (var score in scores) WriteScore(json, score);
        json.WriteEndArray();
        json.WriteNull("refusal");
        json.WriteEndObject();
    }

    void WriteScore(Utf8JsonWriter json, TokenScore score)
    {
        json.WriteStartObject();
        WriteToken(json, score.Token.Id, score.Token.Logprob);
        json.WriteStartArray("top_logprobs");
        foreach (var (id, logprob) in score.Token.Top)
        {
            json.WriteStartObject();
            WriteToken(json, id, logprob);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    void WriteToken(Utf8JsonWriter json, int id, float logprob)
    {
        var bytes = tokenizer.BytesOf(id).Span;
        json.WriteString("token", Encoding.UTF8.GetString(bytes));
        json.WriteNumber("logprob", Logprob.Finite(logprob));
        json.WriteStartArray("bytes");
        foreach (var value in bytes) json.WriteNumberValue(value);
        json.WriteEndArray();
    }
}
