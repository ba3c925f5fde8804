using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Text.GoTemplates;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>Reads what comes behind the text that is asked for.</summary>
static class InfillRules
{
    /// <summary>The field "suffix" of a request that continues prompts.</summary>
    /// <returns>The same prompts, to be filled in before it; unchanged where it is missing or empty.</returns>
    public static IReadOnlyList<RawPrompt> Apply(FieldReader fields, ServedModel model, IReadOnlyList<RawPrompt> prompts)
    {
        const string name = "suffix";
        if (fields.Text(name) is not { Length: > 0 } suffix || !CanInfill(fields, name, model)) return prompts;
        if (prompts.Any(prompt => prompt is not RawPrompt.Text))
            fields.Refuse(name, $"'{fields.PathOf(name)}' needs a text before it: give the prompt as a text, not as token ids.");
        return [.. prompts.Select(prompt => prompt is RawPrompt.Text text ? new RawPrompt.Infill(text.Written, suffix) : prompt)];
    }

    /// <summary>Whether the model can fill in; the field is refused if not.</summary>
    public static bool CanInfill(FieldReader fields, string name, ServedModel model)
    {
        if (model.Infill is not null) return true;
        fields.Refuse(ApiError.Unsupported(fields.PathOf(name),
            $"'{fields.PathOf(name)}' asks to fill in text, which the model '{model.Name}' was not trained for: "
            + "it has no tokens for prefix, suffix and middle. Code Llama has."));
        return false;
    }

    /// <summary>What ends a text that is filled in, besides what ends all others.</summary>
    public static GenerationSettings End(GenerationSettings settings, ServedModel model, IReadOnlyList<RawPrompt> prompts) =>
        model.Infill is { End: { } end } && settings.StopIds.Overlaps(model.Tokenizer.StopIds) && prompts.Any(FillsIn)
            ? settings with { StopIds = settings.StopIds.Append(end).ToHashSet() }
            : settings;

    static bool FillsIn(RawPrompt prompt) =>
        prompt is RawPrompt.Infill || prompt is RawPrompt.Chat { Template: not null } chat && chat.Variables.ContainsKey(GoTemplate.Suffix);
}
