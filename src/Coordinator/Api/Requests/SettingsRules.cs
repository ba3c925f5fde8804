using System.Globalization;
using System.Text.Json;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>
/// Reads <see cref="GenerationSettings"/>: OpenAI's fields, and the usual ones beyond by vLLM's and llama.cpp's names. Sampling options have
/// the ranges of <see cref="SamplingRanges"/>.
/// </summary>
static class SettingsRules
{
    /// <param name="topLogprobs">Alternatives per token, which chat and plain completions spell differently; null for no log-probabilities.</param>
    /// <param name="leastTokens">0 where an empty answer makes sense: to score a prompt.</param>
    public static GenerationSettings Read(FieldReader fields, ServedModel model, int? topLogprobs, int leastTokens)
    {
        var stream = fields.Flag("stream");
        var (maxTokens, maxTokensField) = ReadMaxTokens(fields, leastTokens);
        var stopIds = ReadStopIds(fields, model);
        var minTokens = ReadMinTokens(fields, maxTokens, maxTokensField);
        if (minTokens > 0 && stopIds.Count >= model.Tokenizer.VocabularySize)
            fields.Refuse("min_tokens", "'min_tokens' leaves no token to choose: every one of the vocabulary ends the answer.");
        var (includeUsage, continuousUsage) = ReadStreamOptions(fields, stream);
        return new()
        {
            Sampling = ReadSampling(fields, model.Tokenizer.VocabularySize) with
            {
                TopLogprobs = topLogprobs,
                MinTokens = minTokens,
                EndIds = minTokens == 0 ? [] : [.. stopIds],
            },
            Seed = ReadSeed(fields),
            Choices = ReadChoices(fields),
            MaxTokens = maxTokens,
            MaxTokensField = maxTokensField,
            Stops = ReadStops(fields),
            Grammar = GrammarRules.Read(fields, stopIds.Overlaps(model.Tokenizer.StopIds)),
            StopIds = stopIds,
            Priority = (int)(fields.Integer("priority", int.MinValue, int.MaxValue) ?? 0),
            User = fields.Text("user"),
            CacheSalt = ReadCacheSalt(fields),
            Stream = stream,
            IncludeUsage = includeUsage,
            ContinuousUsage = continuousUsage,
            NamesServiceTier = fields.Find("service_tier") is not null,
        };
    }

    static SamplingOptions ReadSampling(FieldReader fields, int vocabulary) => new()
    {
        Temperature = fields.Number(SamplingRanges.Temperature) ?? 1,
        TopP = ReadTopP(fields) ?? 1,
        TopK = Math.Max(0, fields.Count("top_k", -1, int.MaxValue) ?? 0), // vLLM writes -1 for "all"
        MinP = fields.Number(SamplingRanges.MinP) ?? 0,
        RepetitionPenalty = ReadRepetitionPenalty(fields) ?? 1,
        FrequencyPenalty = fields.Number(SamplingRanges.FrequencyPenalty) ?? 0,
        PresencePenalty = fields.Number(SamplingRanges.PresencePenalty) ?? 0,
        LogitBias = ReadLogitBias(fields, vocabulary),
    };

    /// <summary>Clients that mean "off" write 0, which no sampler can take as it stands.</summary>
    static float? ReadTopP(FieldReader fields)
    {
        if (fields.Find("top_p") is not { } given || !Neutral.Zero(given)) return fields.Number(SamplingRanges.TopP);
        fields.Adjust("top_p", "1");
        return null;
    }

    /// <summary>vLLM's name, or llama.cpp's.</summary>
    static float? ReadRepetitionPenalty(FieldReader fields)
    {
        const string llamaCpps = "repeat_penalty";
        var penalty = fields.Number(SamplingRanges.RepetitionPenalty);
        var other = fields.Number(llamaCpps, SamplingRanges.RepetitionPenalty);
        if (penalty is not null && other is not null && penalty != other)
            fields.Refuse(llamaCpps, $"'{SamplingRanges.RepetitionPenalty.Name}' and '{llamaCpps}' differ; give one of them.");
        return penalty ?? other;
    }

    /// <summary>-1 is how llama.cpp and vLLM write that none is given.</summary>
    static long? ReadSeed(FieldReader fields) => fields.Integer("seed", long.MinValue, long.MaxValue) is { } seed and not -1 ? seed : null;

    static Dictionary<int, float> ReadLogitBias(FieldReader fields, int vocabulary)
    {
        var biases = new Dictionary<int, float>();
        if (fields.Fields("logit_bias") is not { } entries) return biases;
        var names = entries.Names();
        if (names.Count > ApiLimits.LogitBiases)
            fields.Refuse("logit_bias", $"'logit_bias' has {names.Count} entries; the most allowed is {ApiLimits.LogitBiases}.");
        foreach (var name in names.Take(ApiLimits.LogitBiases))
        {
            if (!int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var id) || id >= vocabulary || name.Length > 1 && name[0] == '0')
                fields.Refuse("logit_bias", $"'logit_bias' names '{JsonText.Shorten(name)}', which is no token id from 0 to {vocabulary - 1}.");
            else if (entries.Number(name, SamplingRanges.LogitBias) is { } bias)
                biases[id] = bias;
        }
        entries.ReportUnread();
        return biases;
    }

    static (int? Tokens, string Field) ReadMaxTokens(FieldReader fields, int least)
    {
        var old = ReadLimit(fields, "max_tokens", least);
        var current = ReadLimit(fields, "max_completion_tokens", least);
        if (old is not null && current is not null && old != current)
            fields.Refuse("max_tokens", $"'max_tokens' ({old}) and 'max_completion_tokens' ({current}) differ; give one of them.");
        return current is null ? (old, "max_tokens") : (current, "max_completion_tokens");
    }

    /// <summary>-1 is llama.cpp's way to write that there is no limit.</summary>
    static int? ReadLimit(FieldReader fields, string name, int least)
        => fields.Find(name) is { ValueKind: JsonValueKind.Number } given && given.TryGetDouble(out var number) && number == -1
            ? null
            : fields.Count(name, least, int.MaxValue);

    static int ReadMinTokens(FieldReader fields, int? maxTokens, string maxTokensField)
    {
        var tokens = fields.Count("min_tokens", 0, int.MaxValue) ?? 0;
        if (tokens > maxTokens) fields.Refuse("min_tokens", $"'min_tokens' ({tokens}) is more than '{maxTokensField}' ({maxTokens}).");
        return tokens;
    }

    static int ReadChoices(FieldReader fields)
    {
        var choices = fields.Count("n", 1, ApiLimits.Sequences) ?? 1;
        if (fields.Count("best_of", 1, ApiLimits.Sequences) is { } candidates && candidates != choices)
            fields.Refuse("best_of", $"'best_of' ({candidates}) other than 'n' ({choices}) is not supported.");
        return choices;
    }

    /// <summary>Texts that end an answer: one, or a list.</summary>
    public static IReadOnlyList<string> ReadStops(FieldReader fields, string name = "stop")
    {
        if (fields.Find(name) is not { } stop) return [];
        var stops = stop.ValueKind == JsonValueKind.String ? [stop] : fields.List(name, ApiLimits.Stops) ?? [];
        return [.. stops.Select((element, index) => ReadStop(fields, name, element, index))];
    }

    static string ReadStop(FieldReader fields, string name, JsonElement element, int index)
    {
        var text = JsonText.Of(element) ?? "";
        if (text.Length is 0 or > ApiLimits.StopLength)
            fields.Refuse(name,
                $"'{fields.PathOf(name)}' must be a text, or texts, of 1 to {ApiLimits.StopLength} characters; "
                + $"number {index + 1} is {JsonText.Excerpt(element)}.");
        return text;
    }

    static HashSet<int> ReadStopIds(FieldReader fields, ServedModel model)
    {
        var ids = fields.Flag("ignore_eos") ? [] : new HashSet<int>(model.Tokenizer.StopIds);
        foreach (var element in fields.List("stop_token_ids", ApiLimits.StopTokenIds) ?? [])
            ids.Add(fields.TokenId("stop_token_ids", element, model.Tokenizer.VocabularySize));
        return ids;
    }

    static string ReadCacheSalt(FieldReader fields)
    {
        var salt = fields.Text("cache_salt");
        if (salt is { Length: 0 or > ApiLimits.CacheSaltLength })
            fields.Refuse("cache_salt", $"'cache_salt' must have 1 to {ApiLimits.CacheSaltLength} characters; it has {salt.Length}.");
        return salt ?? "";
    }

    static (bool Include, bool Continuous) ReadStreamOptions(FieldReader fields, bool stream)
    {
        if (fields.Fields("stream_options") is not { } options) return default;
        if (!stream) fields.Refuse("stream_options", "'stream_options' is only allowed where 'stream' is true.");
        var usage = (options.Flag("include_usage"), options.Flag("continuous_usage_stats"));
        options.Hint("include_obfuscation", Neutral.False, "is not supported");
        options.ReportUnread();
        return usage;
    }
}
