using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Text;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Coordinator.Api.Sessions;

/// <summary>The texts that a session's messages are for the model, and the ids of what follows one. To be used in the encoder's turn.</summary>
/// <param name="model">The model under the name that is asked for.</param>
sealed class TurnText(PromptEncoder encoder, ServedModel model)
{
    /// <summary>Digest of what a prompt is made from besides messages.</summary>
    public string FormOf(RawPrompt.Chat chat, bool addSpecialTokens)
    {
        var sorted = chat.Variables.OrderBy(entry => entry.Key, StringComparer.Ordinal);
        var variables = new JsonObject(sorted.Select(entry => KeyValuePair.Create(entry.Key, entry.Value?.DeepClone())));
        var form = new JsonArray(chat.Tools?.ToTemplate(), variables, addSpecialTokens, chat.Template?.Source ?? model.Template?.Source, encoder.ToolParser);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(form.ToJsonString())));
    }

    public static IReadOnlyDictionary<string, JsonNode?> VariablesOf(SessionHistory history) => history.Variables is { } variables
        ? JsonNode.Parse(variables)!.AsObject().ToDictionary(entry => entry.Key, entry => entry.Value)
        : ImmutableDictionary<string, JsonNode?>.Empty;

    /// <summary>A prompt of a session's messages without functions, as its state says.</summary>
    public static RawPrompt.Chat ChatOf(SessionState state)
        => new([], AddGenerationPrompt: true) { Now = state.Created, Variables = VariablesOf(state.History) };

    /// <summary>The text that the stored ids stand for; null if they are tokens of another model or adapter, or not known.</summary>
    public StoredText? OfStored(RawPrompt.Chat chat, SessionHistory before, CancellationToken cancellation)
    {
        if (before.Model != model.TokensDigest || before.Turns is not [.., var last]) return null;
        if (last.Ids == 0 || last.Ids != before.Ids.Length || last.Messages != before.Messages.Length) return null;
        var answer = last.Written ?? (string?)JsonNode.Parse(before.Messages[^1])!["content"] ?? "";
        if (answer.Length < last.AnswerCharacters) return null;
        // A template that refuses the beginning of what it takes as a whole is possible; then there is nothing to extend.
        if (Render(chat, before.Messages[..^1], cancellation).Failed(out _, out var question)) return null;
        return new StoredText(question.Text, answer[..last.AnswerCharacters], IsWhole: last.AnswerCharacters == answer.Length);
    }

    public ApiOutcome<PromptText> Render(RawPrompt.Chat chat, string[] messages, CancellationToken cancellation)
        => encoder.Render(model, chat with { Messages = new JsonArray([.. messages.Select(message => JsonNode.Parse(message))]) }, cancellation);

    /// <summary>
    /// The ids of a text that continues another. A SentencePiece vocabulary puts a space in front, which is left out where the text begins with one.
    /// </summary>
    /// <returns>Null if the tokenizer has no ids for exactly this text.</returns>
    public List<int>? Follow(PromptText text)
    {
        var ids = PromptEncoder.Tokenize(model, text, addSpecialTokens: false);
        if (model.Tokenizer.StandsFor(ids, text.Text)) return ids;
        if (!text.Text.StartsWith(' ')) return null;
        ids = PromptEncoder.Tokenize(model, text.From(1), addSpecialTokens: false);
        return model.Tokenizer.StandsFor(ids, text.Text) ? ids : null;
    }
}

/// <summary>What the ids of a session stand for.</summary>
/// <param name="Question">All up to the last answer, as the template writes it.</param>
/// <param name="Answer">The last answer, as far as the ids reach into it.</param>
/// <param name="IsWhole">They reach to its end.</param>
sealed record StoredText(string Question, string Answer, bool IsWhole)
{
    /// <summary>
    /// What of a longer prompt follows the stored one. White space around the answer makes no difference: most templates leave it out, but it is what the
    /// model wrote.
    /// </summary>
    /// <returns>Null if the prompt does not begin with the stored one.</returns>
    public PromptText? RestOf(PromptText prompt)
    {
        if (!prompt.Text.StartsWith(Question, StringComparison.Ordinal)) return null;
        var rest = prompt.Text.AsSpan(Question.Length);
        foreach (var written in (ReadOnlySpan<string>)[Answer, Answer.TrimStart(), .. IsWhole ? (string[])[Answer.TrimEnd(), Answer.Trim()] : []])
            if (rest.StartsWith(written, StringComparison.Ordinal)) return prompt.From(Question.Length + written.Length);
        return null;
    }
}

static class TokenizerBytes
{
    /// <summary>Whether the ids' bytes, one after the other, are the text.</summary>
    public static bool StandsFor(this ITokenizer tokenizer, List<int> ids, string text)
        => BytesOf(tokenizer, ids).AsSpan().SequenceEqual(Encoding.UTF8.GetBytes(text));

    /// <summary>Whether they are, but for white space.</summary>
    public static bool StandsForWordsOf(this ITokenizer tokenizer, IEnumerable<int> ids, string text)
        => Words(Encoding.UTF8.GetString(BytesOf(tokenizer, ids))) == Words(text);

    static byte[] BytesOf(ITokenizer tokenizer, IEnumerable<int> ids) => [.. ids.SelectMany(id => tokenizer.BytesOf(id).ToArray())];

    static string Words(string text) => string.Concat(text.Where(letter => !char.IsWhiteSpace(letter)));
}
