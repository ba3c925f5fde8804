using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Coordinator.Api.TextGeneration;

/// <summary>
/// Reads the bodies of Text Generation Inference's /generate and /generate_stream.
/// See https://huggingface.github.io/text-generation-inference.
/// </summary>
static class GenerateRules
{
    /// <summary>What that server gives where nothing is asked for.</summary>
    const int UsualTokens = 100;

    /// <param name="stream">Null: as the field "stream" says.</param>
    /// <param name="before">What the answer's text begins with: the prompt, where the client wants it there.</param>
    public static CompletionRequest Read(FieldReader fields, ServedModel model, bool? stream, out string before)
    {
        if (fields.Find("inputs") is null) fields.Refuse("inputs", "'inputs' is required.");
        var prompt = new RawPrompt.Text(fields.Text("inputs") ?? "");
        var streams = stream ?? fields.Flag("stream");
        if (stream is not null) fields.Bookkeeping("stream");
        var settings = new GenerationSettings
        {
            Sampling = new SamplingOptions { Temperature = 0, TopLogprobs = 0 },
            MaxTokens = UsualTokens,
            MaxTokensField = "parameters.max_new_tokens",
            StopIds = model.Tokenizer.StopIds,
            Stream = streams,
        };
        before = "";
        if (fields.Fields("parameters") is { } parameters)
        {
            settings = ReadParameters(parameters, settings);
            if (parameters.Text("adapter_id") is { Length: > 0 } adapter) fields.NameAdapter(adapter, model);
            settings = settings with { StopIds = model.Named(fields.Adapter).Tokenizer.StopIds };
            if (parameters.Flag("return_full_text")) before = prompt.Written;
            parameters.ReportUnread();
        }
        return new CompletionRequest([prompt], AddSpecialTokens: true, Echo: false, settings);
    }

    static GenerationSettings ReadParameters(FieldReader parameters, GenerationSettings usual)
    {
        parameters.Bookkeeping("details");
        parameters.Neutral("best_of", Neutral.One, "other than 1 is not supported");
        parameters.Neutral("decoder_input_details", Neutral.False, "is not supported");
        parameters.Neutral("top_n_tokens", Neutral.Zero, "is not supported: use 'logprobs' of /v1/completions");
        parameters.Neutral("truncate", Neutral.Never, "is not supported");
        parameters.Neutral("typical_p", Neutral.One, "is not supported");
        parameters.Neutral("watermark", Neutral.False, "is not supported");
        var temperature = parameters.Number("temperature", SamplingRanges.Temperature with { ExcludesLeast = true });
        var (topP, topK) = (parameters.Number(SamplingRanges.TopP), parameters.Count("top_k", 0, int.MaxValue));
        // Options of sampling ask for it; otherwise the most probable token is taken.
        var samples = parameters.Flag("do_sample", otherwise: temperature is not null || topP is not null || topK is not null);
        return usual with
        {
            Sampling = usual.Sampling with
            {
                Temperature = samples ? temperature ?? 1 : 0,
                TopP = topP ?? 1,
                TopK = topK ?? 0,
                RepetitionPenalty = parameters.Number(SamplingRanges.RepetitionPenalty) ?? 1,
                FrequencyPenalty = parameters.Number(SamplingRanges.FrequencyPenalty) ?? 0,
            },
            Seed = parameters.Integer("seed", 0, long.MaxValue),
            MaxTokens = parameters.Count("max_new_tokens", 1, int.MaxValue) ?? usual.MaxTokens,
            Stops = parameters.Find("stop") is null ? SettingsRules.ReadStops(parameters, "stop_sequences") : SettingsRules.ReadStops(parameters),
            Grammar = ReadGrammar(parameters),
        };
    }

    static AskedGrammar? ReadGrammar(FieldReader parameters)
    {
        if (parameters.Fields("grammar") is not { } grammar) return null;
        AskedGrammar? read = null;
        switch (grammar.Text("type"))
        {
            case "json":
                read = new(grammar.PathOf("value"), GrammarSource.OfSchema(grammar.Json("value")));
                break;
            case "regex":
                read = new(grammar.PathOf("value"), new GrammarSource(GrammarKind.Regex, grammar.Text("value") ?? ""));
                break;
            case var type:
                grammar.Refuse("type", $"'{grammar.PathOf("type")}' must be \"json\" or \"regex\", not '{JsonText.Shorten(type ?? "")}'.");
                break;
        }
        grammar.ReportUnread();
        return read;
    }
}
