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
        model = OtherFields.ReadShared(fields, model);
        var prompts = InfillRules.Apply(fields, model, RawPrompts.Read(fields, "prompt", ApiLimits.Sequences, model.Tokenizer.VocabularySize));
        var addSpecialTokens = fields.Flag("add_special_tokens", otherwise: true);
        var echo = fields.Flag("echo");
        var topLogprobs = ReadLogprobs(fields);
        if (echo && topLogprobs is not null && prompts.Any(prompt => prompt is RawPrompt.Infill))
            fields.Refuse("echo", "'echo' with 'logprobs' is not possible with 'suffix': the prompt is not what the model reads first.");
        var settings = InfillRules.End(SettingsRules.Read(fields, model, topLogprobs, leastTokens: echo ? 0 : 1), model, prompts);
        CheckSequences(fields, prompts.Count, settings.Choices);
        return new CompletionRequest(prompts, addSpecialTokens, echo, settings) { Session = SessionRules.ReadCompletion(fields) };
    }

    /// <summary>A number here. Some clients, Llama Stack among them, write true or false as in chats: vLLM reads them as 1 and none.</summary>
    static int? ReadLogprobs(FieldReader fields)
    {
        const string name = "logprobs";
        switch (fields.Find(name)?.ValueKind)
        {
            case JsonValueKind.False:
                return null;
            case JsonValueKind.True:
                fields.Adjust(name, "1");
                return 1;
            default:
                return fields.Count(name, 0, SamplingRanges.MaxTopLogprobs);
        }
    }

    /// <param name="missing">What to say where there is no prompt.</param>
    public static RawPrompt.Text ReadText(FieldReader fields, string missing) => RawPrompts.ReadText(fields, "prompt", missing);

    static void CheckSequences(FieldReader fields, int prompts, int choices)
    {
        if (prompts * choices > ApiLimits.Sequences)
            fields.Refuse("n",
                $"{prompts} prompts with {choices} choices each are {prompts * choices} sequences; the most allowed in a request is {ApiLimits.Sequences}.");
    }
}
