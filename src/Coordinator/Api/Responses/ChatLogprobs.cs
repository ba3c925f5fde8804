using System.Text;
using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Text;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>Log-probabilities as chat completions have them: {"content":[{"token","logprob","bytes","top_logprobs":[...]}],"refusal":null}.</summary>
sealed class ChatLogprobs(ITokenizer tokenizer)
{
    public void Write(Utf8JsonWriter json, IReadOnlyList<TokenScore> scores, bool scored)
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
