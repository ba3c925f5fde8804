using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Api.Ollama;

/// <summary>Reads Ollama's "options". What is not given has Ollama's defaults, but for the penalty of repetitions, which is off.</summary>
static class OllamaOptions
{
    const string Machines = "is not supported: how the model runs is the cluster's matter";

    static readonly string[] OfMachines =
    [
        "num_gpu", "main_gpu", "num_thread", "num_batch", "use_mmap", "use_mlock", "low_vram", "f16_kv", "vocab_only",
        "numa", "logits_all", "embedding_only", "num_gqa",
    ];

    public static GenerationSettings Read(FieldReader fields, ServedModel model)
    {
        var usual = new GenerationSettings
        {
            Sampling = new SamplingOptions { Temperature = 0.8f, TopP = 0.9f, TopK = 40 },
            StopIds = model.Tokenizer.StopIds,
            MaxTokensField = "options.num_predict",
        };
        if (fields.Fields("options") is not { } options) return usual;
        foreach (var name in OfMachines) options.Hint(name, Neutral.Never, Machines);
        options.Hint("num_ctx", Neutral.Never, "is not supported: the context is the cluster's");
        options.Hint("num_keep", Neutral.Never, "is not supported: an answer ends where the context does");
        options.Hint("repeat_last_n", Neutral.Never, "is not supported: penalties count all tokens");
        options.Hint("penalize_newline", Neutral.Never, "is not supported");
        options.Neutral("mirostat", Neutral.Zero, "is not supported");
        options.Hint("mirostat_eta", Neutral.Never, "is not supported");
        options.Hint("mirostat_tau", Neutral.Never, "is not supported");
        options.Neutral("tfs_z", Neutral.One, "is not supported");
        options.Neutral("typical_p", Neutral.One, "is not supported");
        var settings = usual with
        {
            Sampling = usual.Sampling with
            {
                Temperature = options.Number(SamplingRanges.Temperature) ?? usual.Sampling.Temperature,
                TopP = options.Number(SamplingRanges.TopP) ?? usual.Sampling.TopP,
                TopK = Math.Max(0, options.Count("top_k", -1, int.MaxValue) ?? usual.Sampling.TopK),
                MinP = options.Number(SamplingRanges.MinP) ?? 0,
                RepetitionPenalty = options.Number("repeat_penalty", SamplingRanges.RepetitionPenalty) ?? 1,
                FrequencyPenalty = options.Number(SamplingRanges.FrequencyPenalty) ?? 0,
                PresencePenalty = options.Number(SamplingRanges.PresencePenalty) ?? 0,
            },
            Seed = options.Integer("seed", long.MinValue, long.MaxValue) is { } seed and not -1 ? seed : null,
            // -1 and -2 say that there is no limit.
            MaxTokens = options.Count("num_predict", -2, int.MaxValue) is { } most and > 0 ? most : null,
            Stops = SettingsRules.ReadStops(options),
        };
        options.ReportUnread();
        return settings;
    }
}
