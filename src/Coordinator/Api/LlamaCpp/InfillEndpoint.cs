using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Primitives;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.LlamaCpp;

/// <summary>POST /infill: what editors ask llama.cpp's server for.</summary>
sealed class InfillEndpoint(ServedModel model, CompletionResponder responder, TimeProvider time) : IEndpoint
{
    public Task<ApiError?> AnswerAsync(HttpContext http)
        => responder.AnswerAsync(
            http, fields => InfillRequestRules.Read(fields, model), "input_prefix", "text_completion", facts => new InfillAnswer(facts, time));
}

/// <summary>Reads the body of /infill. See https://github.com/ggml-org/llama.cpp/tree/master/tools/server.</summary>
static class InfillRequestRules
{
    const string Unsupported = "is not supported";

    /// <summary>Other files that a request may bring.</summary>
    const int MostFiles = 1024;

    public static CompletionRequest Read(FieldReader fields, ServedModel model)
    {
        const string prefix = "input_prefix", suffix = "input_suffix";
        model = fields.Model(model);
        foreach (var name in (ReadOnlySpan<string>)[prefix, suffix])
            if (fields.Find(name) is null) fields.Refuse(name, $"'{name}' is required.");
        InfillRules.CanInfill(fields, prefix, model);
        IReadOnlyList<RawPrompt> prompts =
        [
            new RawPrompt.Infill(fields.Text(prefix) + fields.Text("prompt"), fields.Text(suffix) ?? "") { Files = ReadFiles(fields), Cuts = true },
        ];
        ReadOthers(fields);
        var settings = SettingsRules.Read(fields, model, topLogprobs: null, leastTokens: 0);
        if (fields.Count("n_predict", -1, int.MaxValue) is { } most)
            settings = settings with { MaxTokens = most < 0 ? null : most, MaxTokensField = "n_predict" };
        settings = settings with { Sampling = WithDefaults(fields, settings.Sampling) };
        return new CompletionRequest(prompts, AddSpecialTokens: true, Echo: false, InfillRules.End(settings, model, prompts));
    }

    /// <summary>What that server takes where nothing is asked for.</summary>
    static SamplingOptions WithDefaults(FieldReader fields, SamplingOptions asked) => asked with
    {
        Temperature = fields.Find("temperature") is null ? 0.8f : asked.Temperature,
        TopK = fields.Find("top_k") is null ? 40 : asked.TopK,
        TopP = fields.Find("top_p") is null ? 0.95f : asked.TopP,
        MinP = fields.Find("min_p") is null ? 0.05f : asked.MinP,
    };

    static List<InfillFile> ReadFiles(FieldReader fields)
    {
        const string name = "input_extra";
        var files = new List<InfillFile>();
        foreach (var (index, element) in (fields.List(name, MostFiles) ?? []).Index())
        {
            if (fields.Error is not null || fields.Element(name, index, element) is not { } file) break;
            if (file.Find("text") is null) file.Refuse("text", $"'{file.PathOf("text")}' is required.");
            files.Add(new(file.Text("filename") ?? "", file.Text("text") ?? ""));
            foreach (var note in (ReadOnlySpan<string>)["time", "chunks"]) file.Bookkeeping(note);   // editors' own
            file.ReportUnread();
        }
        return files;
    }

    static void ReadOthers(FieldReader fields)
    {
        foreach (var name in (ReadOnlySpan<string>)["cache_prompt", "id_slot", "timings_per_token"])
            fields.Bookkeeping(name);   // what is computed is always kept
        ReadOnlySpan<string> hints =
        [
            "samplers", "t_max_prompt_ms", "t_max_predict_ms", "n_indent", "n_keep", "n_discard", "n_cache_reuse", "response_fields", "n_probs",
            "return_tokens", "post_sampling_probs", "penalize_nl", "repeat_last_n",
        ];
        foreach (var name in hints) fields.Hint(name, Neutral.Zero, Unsupported);
        foreach (var name in (ReadOnlySpan<string>)["mirostat", "xtc_probability", "dry_multiplier", "dynatemp_range"])
            fields.Neutral(name, Neutral.Zero, Unsupported);
        fields.Neutral("typical_p", Neutral.One, Unsupported);
        fields.Neutral("lora", Neutral.EmptyList, Unsupported);
    }
}
