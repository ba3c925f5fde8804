using System.Text;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Requests;

namespace LlamaCluster.Coordinator.Api.Filtering;

/// <summary>Who has said what in a prompt, as far as a guard can tell: what the model has said, and all else.</summary>
static class SpokenTurns
{
    /// <summary>Characters that are judged at a time.</summary>
    public const int WindowCharacters = 16_000;

    /// <param name="encoded">The same prompt in tokens.</param>
    /// <param name="detokenize">The text of tokens.</param>
    public static List<SpokenTurn> Of(RawPrompt prompt, EncodedPrompt encoded, Func<IReadOnlyList<int>, string> detokenize) => prompt switch
    {
        RawPrompt.Chat { Template: not null } => [new(false, encoded.Text)],   // the request's own template can say anything too
        RawPrompt.Chat chat => [.. chat.Messages.OfType<JsonObject>().Select(Of).Where(turn => turn.Text.Length > 0)],
        RawPrompt.Text text => [new(false, text.Written)],
        RawPrompt.Infill infill => [new(false, string.Join('\n', infill.Files.Select(file => file.Text).Append(infill.Prefix).Append(infill.Suffix)))],
        _ => [new(false, encoded.Text.Length > 0 ? encoded.Text : detokenize(encoded.Ids))],
    };

    /// <summary>Windows that have all of it, each with so much of what comes before as there is room for.</summary>
    public static IEnumerable<IReadOnlyList<SpokenTurn>> Windows(IReadOnlyList<SpokenTurn> turns)
    {
        var window = new List<SpokenTurn>();
        var left = WindowCharacters;
        foreach (var turn in turns)
        {
            for (var at = 0; at < turn.Text.Length;)
            {
                if (left == 0)
                {
                    yield return window;
                    (window, left) = ([], WindowCharacters);
                }
                var length = Math.Min(left, turn.Text.Length - at);
                if (at + length < turn.Text.Length && char.IsHighSurrogate(turn.Text[at + length - 1]) && length > 1) length--;
                window.Add(turn with { Text = turn.Text.Substring(at, length) });
                (at, left) = (at + length, Math.Max(0, left - length));
                if (at < turn.Text.Length) left = 0;
            }
        }
        if (window.Count > 0) yield return window;
    }

    /// <summary>The end of a conversation and an answer to it, as much as is judged at a time.</summary>
    public static IReadOnlyList<SpokenTurn> WithAnswer(IReadOnlyList<SpokenTurn> turns, string answer)
    {
        var last = answer.Length <= WindowCharacters ? answer : answer[^WindowCharacters..];
        var left = WindowCharacters - last.Length;
        var kept = new List<SpokenTurn> { new(true, last) };
        for (var i = turns.Count - 1; i >= 0 && left > 0; i--)
        {
            var text = turns[i].Text.Length <= left ? turns[i].Text : turns[i].Text[^left..];
            kept.Insert(0, turns[i] with { Text = text });
            left -= text.Length;
        }
        return kept;
    }

    static SpokenTurn Of(JsonObject message)
    {
        var text = new StringBuilder();
        if (message["reasoning_content"] is JsonValue reasoning) text.Append((string?)reasoning);
        if (message["content"] is JsonValue content) text.Append((string?)content);
        foreach (var call in message["tool_calls"] as JsonArray ?? [])
            text.Append(call?["function"]?["arguments"] is JsonValue written ? (string?)written : call?["function"]?["arguments"]?.ToJsonString());
        return new((string?)message["role"] == "assistant", text.ToString());
    }
}
