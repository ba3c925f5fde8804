using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Adapters;
using LlamaCluster.Model.Formats.Paths;

namespace LlamaCluster.Cli.Models;

/// <summary>`inspect`: shows what a model's headers say. No weights are read.</summary>
static class InspectCommand
{
    public static Command Create()
    {
        var model = ModelOption.Create();
        var json = new Option<bool>("--json") { Description = "print one JSON object" };
        var command = new Command("inspect", "Show a model's facts, its tensors by type, bytes per layer, and KV bytes per token.")
        {
            model, HubOption.Create(), json,
        };
        command.SetAction(parsed =>
        {
            var path = ModelOption.PathOf(parsed, model);
            using var weights = ModelFiles.Open(path);
            var facts = ModelFacts.Of(weights);
            if (parsed.GetValue(json)) parsed.InvocationConfiguration.Output.WriteLine(InspectionReport.Json(facts));
            else InspectionReport.Print(facts, parsed.InvocationConfiguration.Output);
            return ExitCode.Done;
        });
        return command;
    }
}

/// <summary>The output of `inspect`, as text or JSON.</summary>
static class InspectionReport
{
    const int NameWidth = 22;

    public static void Print(ModelFacts facts, TextWriter output)
    {
        var config = facts.Config;
        Line("model", facts.Name);
        Line("parameters", Number(facts.Parameters));
        if (config.Experts is not null) Line("of these for a token", $"{Number(facts.ActiveParameters)}, {Number(facts.ActiveBytes)} bytes");
        Line("layers", $"{config.LayerCount}");
        Line("hidden", $"{config.HiddenSize}");
        Line("ffn", config.Sizes is null ? $"{config.FfnSize}" : Varied(config.Sizes, sizes => sizes.FfnSize));
        if (config.Experts is { } experts) Line("experts", Experts(experts));
        if (config.Chunks is { } chunks)
            Line("attention", $"in chunks of {chunks.ChunkSize} positions, in one of {chunks.FullLayerStep} layers over all positions");
        if (config.Window is { } window) Line("attention", $"over the last {window} positions");
        if (config.QueryScale is { } scale)
            Line("queries", string.Create(CultureInfo.InvariantCulture, $"grow by {scale.Growth} times the logarithm of each {scale.Span} positions"));
        Line("heads", $"{config.HeadCount}");
        Line("kv heads", config.Sizes is null ? $"{config.KvHeadCount}" : Varied(config.Sizes, sizes => sizes.KvHeadCount));
        if (config.Sizes?.Count(sizes => sizes.IsLinear) is > 0 and var linear) Line("linear attention", $"in {linear} layers");
        Line("head size", $"{config.HeadSize}");
        Line("vocabulary", $"{config.VocabularySize}");
        Line("context", $"{config.ContextLength}");
        Line("rms epsilon", string.Create(CultureInfo.InvariantCulture, $"{config.RmsEpsilon}"));
        Line("rope", Rope(config));
        Line("head", config.TiedEmbeddings ? "the embedding (tied)" : "its own");
        output.WriteLine();
        foreach (var type in facts.Types) Line($"tensors {type.Type}", $"{type.Count,5}  {Bytes(type.Bytes)}");
        Line("tensors", $"{facts.Types.Sum(type => type.Count),5}  {Bytes(facts.Bytes)}");
        foreach (var (form, count) in facts.StoredForms) Line("in the files", $"{count,5}  {form}");
        output.WriteLine();
        Line("embedding", Bytes(facts.EmbeddingBytes));
        foreach (var (name, bytes) in LayerRuns(facts.LayerBytes)) Line(name, Bytes(bytes));
        Line("norm and head", Bytes(facts.HeadBytes));
        output.WriteLine();
        foreach (var (type, bytes) in facts.KvBytesPerToken) Line($"KV per token, {type}", Bytes(bytes));
        Line("LoRA of rank 16, F16", Bytes(AdapterBytes(facts)));

        void Line(string name, string value) => output.WriteLine($"{name.PadRight(NameWidth)}{value}");
    }

    /// <summary>Of an adapter of rank 16 in F16 on all matrices of the layers.</summary>
    static long AdapterBytes(ModelFacts facts) => AdapterContent.OnAllMatrices(facts.Config, rank: 16).Bytes;

    public static string Json(ModelFacts facts) => JsonSerializer.Serialize(new
    {
        name = facts.Name,
        parameters = facts.Parameters,
        layers = facts.Config.LayerCount,
        hidden = facts.Config.HiddenSize,
        ffn = facts.Config.FfnSize,
        experts = facts.Config.Experts is not { } experts ? null : new
        {
            count = experts.Count,
            used = experts.UsedCount,
            ffn = experts.FfnSize,
            layer_step = experts.LayerStep,
            shared = experts.HasShared,
        },
        attention_chunk = facts.Config.Chunks?.ChunkSize,
        attention_window = facts.Config.Window,
        attention_biases = facts.Config.Biases is not AttentionBiases.None,
        heads = facts.Config.HeadCount,
        kv_heads = facts.Config.KvHeadCount,
        layer_sizes = facts.Config.Sizes?.Select(sizes => new { heads = sizes.HeadCount, kv_heads = sizes.KvHeadCount, ffn = sizes.FfnSize }),
        head_size = facts.Config.HeadSize,
        vocabulary = facts.Config.VocabularySize,
        context = facts.Config.ContextLength,
        rms_epsilon = facts.Config.RmsEpsilon,
        rope_theta = facts.Config.RopeTheta,
        rope_scaled = facts.Config.RopeScaling is not null,
        tied_embeddings = facts.Config.TiedEmbeddings,
        active_parameters = facts.ActiveParameters,
        bytes = facts.Bytes,
        active_bytes = facts.ActiveBytes,
        types = facts.Types.Select(type => new { type = type.Type.ToString(), count = type.Count, bytes = type.Bytes }),
        stored_forms = facts.StoredForms.Select(form => new { form = form.Form, count = form.Count }),
        embedding_bytes = facts.EmbeddingBytes,
        layer_bytes = facts.LayerBytes,
        head_bytes = facts.HeadBytes,
        lora_rank_16_bytes = AdapterBytes(facts),
        kv_bytes_per_token = facts.KvBytesPerToken.ToDictionary(pair => pair.Key.ToString(), pair => pair.Value),
    });

    /// <summary>How many layers have which size, the greatest first.</summary>
    static string Varied(SizesOfLayers layers, Func<LayerSizes, int> size) => string.Join(
        ", ",
        layers.CountBy(size).OrderByDescending(entry => entry.Key).Select(entry => $"{(entry.Key == 0 ? "none" : entry.Key)} in {entry.Value}")) + " layers";

    static string Experts(ExpertMixture experts) =>
        $"{experts.Count} of width {experts.FfnSize} in {(experts.LayerStep == 1 ? "every layer" : $"one of {experts.LayerStep} layers")}, "
        + $"{experts.UsedCount} used for a token{(experts.HasShared ? " and a shared one" : "")}";

    /// <summary>Consecutive layers of the same size share a line.</summary>
    static IEnumerable<(string Name, long Bytes)> LayerRuns(IReadOnlyList<long> layers)
    {
        for (var first = 0; first < layers.Count;)
        {
            var last = first;
            while (last + 1 < layers.Count && layers[last + 1] == layers[first]) last++;
            yield return (last == first ? $"layer {first}" : $"layers {first}-{last}, each", layers[first]);
            first = last + 1;
        }
    }

    static string Rope(LlamaConfig config)
    {
        var rope = string.Create(CultureInfo.InvariantCulture, $"theta {config.RopeTheta}, {config.RopeDimensionCount} of {config.HeadSize} dimensions");
        return config.RopeScaling is null ? rope : $"{rope}, scaled ({config.RopeScaling.GetType().Name})";
    }

    static string Bytes(long bytes) => $"{Number(bytes),16} bytes";

    static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}
