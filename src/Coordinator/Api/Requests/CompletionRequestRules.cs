using System.Text.Json;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>Reads the body of /v1/completions: every field is honoured, reported as ignored, or refused by name.</summary>
static class CompletionRequestRules
{
    public static CompletionRequest Read(FieldReader fields, ServedModel model)
    {
        fields.Model(model);
        OtherFields.ReadShared(fields);
        OtherFields.ReadCompletion(fields);
        var prompts = ReadPrompts(fields, model.Tokenizer.VocabularySize);
        var addSpecialTokens = fields.Flag("add_special_tokens", otherwise: true);
        var echo = fields.Flag("echo");
        var topLogprobs = ReadLogprobs(fields);
        var settings = SettingsRules.Read(fields, model, topLogprobs, leastTokens: echo ? 0 : 1);
        CheckSequences(fields, prompts.Count, settings.Choices);
        return new CompletionRequest(prompts, addSpecialTokens, echo, settings) { Session = SessionRules.ReadCompletion(fields) };
    }

    /// <summary>A number here; some clients write false, chat's way to say none.</summary>
    static int? ReadLogprobs(FieldReader fields) => fields.Find("logprobs") is { ValueKind: JsonValueKind.False }
        ? null
        : fields.Count("logprobs", 0, SamplingRanges.MaxTopLogprobs);

    static IReadOnlyList<RawPrompt> ReadPrompts(FieldReader fields, int vocabulary) => fields.Find("prompt") is { ValueKind: JsonValueKind.Array } list
        ? ReadList(fields, list, vocabulary)
        : [ReadText(fields, "'prompt' is required.")];

    /// <param name="missing">What to say where there is no prompt.</param>
    public static RawPrompt.Text ReadText(FieldReader fields, string missing)
    {
        if (fields.Find("prompt") is null) fields.Refuse("prompt", missing);
        return new(fields.Text("prompt") ?? "");
    }

    /// <summary>A list is one prompt of token ids, or several prompts: texts or lists of ids.</summary>
    static IReadOnlyList<RawPrompt> ReadList(FieldReader fields, JsonElement list, int vocabulary)
    {
        if (list.GetArrayLength() == 0)
        {
            fields.Refuse("prompt", "'prompt' must not be an empty list.");
            return [];
        }
        if (list[0].ValueKind == JsonValueKind.Number)
            return [new RawPrompt.Tokens(fields.TokenIds("prompt", list.EnumerateArray(), vocabulary))];
        return [.. (fields.List("prompt", ApiLimits.Sequences) ?? []).Select(element => ReadElement(fields, element, vocabulary))];
    }

    static RawPrompt ReadElement(FieldReader fields, JsonElement element, int vocabulary)
    {
        if (element.ValueKind == JsonValueKind.Array) return new RawPrompt.Tokens(fields.TokenIds("prompt", element.EnumerateArray(), vocabulary));
        if (JsonText.Of(element) is { } text) return new RawPrompt.Text(text);
        fields.Refuse("prompt", $"'prompt' must be a text, token ids, or a list of either; {JsonText.Excerpt(element)} is none.");
        return new RawPrompt.Tokens([]);
    }

    static void CheckSequences(FieldReader fields, int prompts, int choices)
    {
        if (prompts * choices > ApiLimits.Sequences)
            fields.Refuse("n",
                $"{prompts} prompts with {choices} choices each are {prompts * choices} sequences; the most allowed in a request is {ApiLimits.Sequences}.");
    }
}
