using System.Text;
using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Coordinator.Api.TextGeneration;

/// <summary>Text Generation Inference's answer, and its stream: one event a token, the last of which has the whole text.</summary>
/// <param name="before">What the whole text begins with.</param>
/// <param name="isList">The answer is the only element of a list, as at the address "/".</param>
sealed class GenerateAnswer(AnswerFacts facts, string before, bool isList) : IAnswerForm
{
    readonly StringBuilder _text = new();
    (TokenScore Score, string Text)? _held;   // the last token, since the last event is another one
    int _index;
    ChoiceEnd? _end;

    public void WriteWhole(Utf8JsonWriter json, IReadOnlyList<WholeChoice> choices)
    {
        var choice = choices[0];
        if (isList) json.WriteStartArray();
        json.WriteStartObject();
        json.WriteString("generated_text", before + choice.Text);
        json.WriteStartObject("details");
        WriteEnd(json, choice.End);
        json.WriteStartArray("prefill");
        json.WriteEndArray();
        json.WriteStartArray("tokens");
        foreach (var score in choice.Scores)
        {
            json.WriteStartObject();
            WriteToken(json, score, TextOf(score));
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndObject();
        if (isList) json.WriteEndArray();
    }

    public void Open(EventStream events)
    {
    }

    /// <summary>The text of a delta goes out with the first of its tokens: half a character has no text yet.</summary>
    public void Write(EventStream events, ChoiceDelta delta)
    {
        var text = string.Concat(delta.Pieces.OfType<AnswerPiece.Text>().Select(piece => piece.Words));
        _text.Append(text);
        foreach (var score in delta.Scores)
        {
            if (_held is { } held) WriteEvent(events, held.Score, held.Text, isLast: false);
            _held = (score, text);
            text = "";
        }
        if (text.Length > 0 && _held is { } last) _held = (last.Score, last.Text + text);
        _end = delta.End ?? _end;
    }

    public Task CloseAsync(EventStream events)
    {
        var (score, text) = _held ?? (new TokenScore(new(facts.Model.Tokenizer.EosId ?? 0, 0, []), 0), "");
        WriteEvent(events, score, text, isLast: true);
        return Task.CompletedTask;
    }

    public void Fail(EventStream events, ApiError error)
    {
        ErrorShape.TextGenerationInference.Write(events.Begin(), error, "");
        events.End();
    }

    void WriteEvent(EventStream events, TokenScore score, string text, bool isLast)
    {
        var json = events.Begin();
        json.WriteStartObject();
        json.WriteNumber("index", ++_index);
        json.WriteStartObject("token");
        WriteToken(json, score, text);
        json.WriteEndObject();
        json.WriteString("generated_text", isLast ? $"{before}{_text}" : null);
        if (isLast)
        {
            json.WriteStartObject("details");
            WriteEnd(json, _end);
            json.WriteNumber("input_length", facts.PromptTokens);
            json.WriteEndObject();
        }
        else
        {
            json.WriteNull("details");
        }
        json.WriteEndObject();
        events.End();
    }

    void WriteEnd(Utf8JsonWriter json, ChoiceEnd? end)
    {
        json.WriteString("finish_reason", end switch
        {
            { StopText: not null } => "stop_sequence",
            { Reason: EndReason.Length } => "length",
            { Reason: EndReason.ContentFilter } => "content_filter",
            _ => "eos_token",
        });
        json.WriteNumber("generated_tokens", facts.Usage.CompletionTokens);
        if (facts.Settings.Seed is { } seed) json.WriteNumber("seed", seed);
        else json.WriteNull("seed");
    }

    void WriteToken(Utf8JsonWriter json, TokenScore score, string text)
    {
        json.WriteNumber("id", score.Token.Id);
        json.WriteString("text", text);
        json.WriteNumber("logprob", Logprob.Finite(score.Token.Logprob));
        json.WriteBoolean("special", facts.Model.Tokenizer.IsControl(score.Token.Id));
    }

    string TextOf(TokenScore score) => Encoding.UTF8.GetString(facts.Model.Tokenizer.BytesOf(score.Token.Id).Span);
}
