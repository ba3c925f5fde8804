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
        return new()
        {
            Sampling = ReadSampling(fields, model.Tokenizer.VocabularySize) with { TopLogprobs = topLogprobs },
            Seed = fields.Integer("seed", long.MinValue, long.MaxValue),
            Choices = ReadChoices(fields),
            MaxTokens = maxTokens,
            MaxTokensField = maxTokensField,
            Stops = ReadStops(fields),
            StopIds = ReadStopIds(fields, model),
            Priority = (int)(fields.Integer("priority", int.MinValue, int.MaxValue) ?? 0),
            User = fields.Text("user"),
            CacheSalt = ReadCacheSalt(fields),
            Stream = stream,
            IncludeUsage = ReadIncludeUsage(fields, stream),
        };
    }

    static SamplingOptions ReadSampling(FieldReader fields, int vocabulary) => new()
    {
        Temperature = fields.Number(SamplingRanges.Temperature) ?? 1,
        TopP = fields.Number(SamplingRanges.TopP) ?? 1,
        TopK = Math.Max(0, fields.Count("top_k", -1, int.MaxValue) ?? 0), // vLLM writes -1 for "all"
        MinP = fields.Number(SamplingRanges.MinP) ?? 0,
        RepetitionPenalty = fields.Number(SamplingRanges.RepetitionPenalty) ?? 1,
        FrequencyPenalty = fields.Number(SamplingRanges.FrequencyPenalty) ?? 0,
        PresencePenalty = fields.Number(SamplingRanges.PresencePenalty) ?? 0,
        LogitBias = ReadLogitBias(fields, vocabulary),
    };

    static Dictionary<int, float> ReadLogitBias(FieldReader fields, int vocabulary)
    {
        var biases = new Dictionary<int, float>();
        if (fields.Fields("logit_bias") is not { } entries) return biases;
        var names = entries.Names();
        if (names.Count > ApiLimits.LogitBiases)
            fields.Refuse("logit_bias", $"'logit_bias' has {names.Count} entries; the most allowed is {ApiLimits.LogitBiases}.");
        foreach (var name in names.Take(ApiLimits.LogitBiases))
        {
            if (!int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var id) || id >= vocabulary)
                fields.Refuse("logit_bias", $"'logit_bias' names '{JsonText.Shorten(name)}', which is no token id from 0 to {vocabulary - 1}.");
            else if (entries.Number(name, SamplingRanges.LogitBias) is { } bias)
                biases[id] = bias;
        }
        return biases;
    }

    static (int? Tokens, string Field) ReadMaxTokens(FieldReader fields, int least)
    {
        var old = fields.Count("max_tokens", least, int.MaxValue);
        var current = fields.Count("max_completion_tokens", least, int.MaxValue);
        if (old is not null && current is not null && old != current)
            fields.Refuse("max_tokens", $"'max_tokens' ({old}) and 'max_completion_tokens' ({current}) differ; give one of them.");
        return current is null ? (old, "max_tokens") : (current, "max_completion_tokens");
    }

    static int ReadChoices(FieldReader fields)
    {
        var choices = fields.Count("n", 1, ApiLimits.Sequences) ?? 1;
        if (fields.Count("best_of", 1, ApiLimits.Sequences) is { } candidates && candidates != choices)
            fields.Refuse("best_of", $"'best_of' ({candidates}) other than 'n' ({choices}) is not supported.");
        return choices;
    }

    static IReadOnlyList<string> ReadStops(FieldReader fields)
    {
        if (fields.Find("stop") is not { } stop) return [];
        var stops = stop.ValueKind == JsonValueKind.String ? [stop] : fields.List("stop", ApiLimits.Stops) ?? [];
        return [.. stops.Select((element, index) => ReadStop(fields, element, index))];
    }

    static string ReadStop(FieldReader fields, JsonElement element, int index)
    {
        var text = JsonText.Of(element) ?? "";
        if (text.Length is 0 or > ApiLimits.StopLength)
            fields.Refuse("stop",
                $"'stop' must be a text, or texts, of 1 to {ApiLimits.StopLength} characters; number {index + 1} is {JsonText.Excerpt(element)}.");
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

    static bool ReadIncludeUsage(FieldReader fields, bool stream)
    {
        if (fields.Fields("stream_options") is not { } options) return false;
        if (!stream) fields.Refuse("stream_options", "'stream_options' is only allowed where 'stream' is true.");
        var include = options.Flag("include_usage");
        options.Neutral("include_obfuscation", Neutral.False, "is not supported");
        options.Neutral("continuous_usage_stats", Neutral.False, "is not supported");
        options.RefuseUnread();
        return include;
    }
}
