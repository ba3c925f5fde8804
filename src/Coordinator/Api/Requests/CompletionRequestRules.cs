using System.Text.Json;
using LlamaCluster.Coordinator.Api.Reading;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>Reads the body of /v1/completions: every field is honoured or refused by name.</summary>
static class CompletionRequestRules
{
    public static ApiOutcome<CompletionRequest> Read(JsonElement body, ServedModel model)
    {
        var fields = new FieldReader(body, "", new FirstError());
        ModelRules.Read(fields, model);
        OtherFields.ReadShared(fields);
        OtherFields.ReadCompletion(fields);
        var prompts = ReadPrompts(fields, model);
        var addSpecialTokens = fields.Flag("add_special_tokens", otherwise: true);
        var echo = fields.Flag("echo");
        var topLogprobs = fields.Count("logprobs", 0, ApiLimits.TopLogprobs);
        var settings = SettingsRules.Read(fields, model, topLogprobs, leastTokens: echo ? 0 : 1);
        CheckSequences(fields, prompts.Count, settings.Choices);
        fields.RefuseUnread();
        return fields.Error is { } error ? error : new CompletionRequest(prompts, addSpecialTokens, echo, settings);
    }

    static IReadOnlyList<RawPrompt> ReadPrompts(FieldReader fields, ServedModel model)
    {
        switch (fields.Find("prompt"))
        {
            case null:
                fields.Refuse("prompt", "'prompt' is required.");
                return [];
            case { ValueKind: JsonValueKind.Array } list:
                return ReadList(fields, list, model);
            default:
                return [new(fields.Text("prompt"), [])];
        }
    }

    /// <summary>A list is one prompt of token ids, or several prompts: texts or lists of ids.</summary>
    static IReadOnlyList<RawPrompt> ReadList(FieldReader fields, JsonElement list, ServedModel model)
    {
        if (list.GetArrayLength() == 0)
        {
            fields.Refuse("prompt", "'prompt' must not be an empty list.");
            return [];
        }
        if (list[0].ValueKind == JsonValueKind.Number)
            return [new(null, TokenIds.ReadAll(fields, "prompt", list.EnumerateArray(), model))];
        return [.. (fields.List("prompt", ApiLimits.Sequences) ?? []).Select(element => ReadOne(fields, element, model))];
    }

    static RawPrompt ReadOne(FieldReader fields, JsonElement element, ServedModel model)
    {
        if (element.ValueKind == JsonValueKind.Array) return new(null, TokenIds.ReadAll(fields, "prompt", element.EnumerateArray(), model));
        if (JsonText.Of(element) is { } text) return new(text, []);
        fields.Refuse("prompt", $"'prompt' must be a text, token ids, or a list of either; {JsonText.Excerpt(element)} is none.");
        return new(null, []);
    }

    static void CheckSequences(FieldReader fields, int prompts, int choices)
    {
        if (prompts * choices > ApiLimits.Sequences)
            fields.Refuse("n", $"{prompts} prompts with {choices} choices each are {prompts * choices} sequences; the most allowed in a request is {ApiLimits.Sequences}.");
    }
}
