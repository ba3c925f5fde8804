using System.Text;
using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Text;
using LlamaCluster.Text.Answers;

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

    public void WriteDelta(Utf8JsonWriter json, AnswerPiece? piece, IReadOnlyList<TokenScore> scores, bool scored)
    {
        json.WriteStartObject("delta");
        switch (piece)
        {
            case AnswerPiece.Text text:
                json.WriteString("content", text.Words);
                break;
            case AnswerPiece.Reasoning reasoning:
                json.WriteString("reasoning_content", reasoning.Words);
                break;
            case AnswerPiece.CallBegun begun:
                WriteCall(json, begun.Call, begun.Id, begun.Name, "");
                break;
            case AnswerPiece.CallArguments arguments:
                WriteCall(json, arguments.Call, null, null, arguments.Json);
                break;
            case null when scores.Count > 0:
                json.WriteString("content", "");
                break;
        }
        json.WriteEndObject();
        WriteLogprobs(json, scores, scored && scores.Count > 0);
    }

    public void WriteWhole(Utf8JsonWriter json, WholeChoice choice, bool scored)
    {
        json.WriteStartObject("message");
        json.WriteString("role", "assistant");
        json.WriteString("content", choice is { Text: "", Calls.Count: > 0 } ? null : choice.Text);
        if (choice.Reasoning.Length > 0) json.WriteString("reasoning_content", choice.Reasoning);
        json.WriteNull("refusal");
        if (choice.Calls.Count > 0)
        {
            json.WriteStartArray("tool_calls");
            foreach (var call in choice.Calls)
            {
                json.WriteStartObject();
                WriteCallFields(json, call.Id, call.Name, call.Arguments);
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        json.WriteEndObject();
        WriteLogprobs(json, choice.Scores, scored);
    }

    /// <summary>A delta's only element of "tool_calls". Readers join the arguments of those with one index.</summary>
    /// <param name="id">With <paramref name="name"/> in the first of a call; null in the others.</param>
    static void WriteCall(Utf8JsonWriter json, int index, string? id, string? name, string arguments)
    {
        json.WriteStartArray("tool_calls");
        json.WriteStartObject();
        json.WriteNumber("index", index);
        WriteCallFields(json, id, name, arguments);
        json.WriteEndObject();
        json.WriteEndArray();
    }

    static void WriteCallFields(Utf8JsonWriter json, string? id, string? name, string arguments)
    {
        if (id is not null)
        {
            json.WriteString("id", id);
            json.WriteString("type", "function");
        }
        json.WriteStartObject("function");
        if (name is not null) json.WriteString("name", name);
        json.WriteString("arguments", arguments);
        json.WriteEndObject();
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
