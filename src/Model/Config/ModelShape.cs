using System.Globalization;

namespace LlamaCluster.Model.Config;

/// <summary>
/// A model's shape without its weights, for measuring and planning: one of the published Llamas by name, or
/// <c>hidden=2048,layers=16,ffn=8192,heads=32,vocab=32000</c> and, where they differ from the usual, <c>kv-heads</c> (else as many
/// as heads), <c>head-size</c> (else hidden / heads), <c>context</c> (else 8192), and <c>experts</c> of Mixtral's kind with <c>experts-used</c> (else 2).
/// </summary>
/// <param name="Name">The preset's name, or the text that was parsed.</param>
public sealed record ModelShape(string Name, LlamaConfig Config)
{
    const int DefaultContext = 8192;
    const int DefaultExpertsUsed = 2;

    /// <summary>Runs of layers as published: how many, KV heads (0: no attention), width of the feed-forward (0: none).</summary>
    static readonly (int Count, int KvHeads, int Ffn)[] NemotronSuper =
    [
        (1, 8, 14_336), (5, 8, 28_672), (2, 0, 14_336), (3, 8, 28_672), (1, 0, 17_920), (30, 8, 28_672), (1, 0, 7_168), (2, 0, 14_336), (1, 0, 7_168),
        (1, 0, 28_672), (1, 0, 7_168), (1, 0, 14_336), (3, 0, 7_168), (1, 8, 28_672), (1, 0, 7_168), (2, 0, 5_632), (1, 0, 7_168), (3, 0, 5_632),
        (2, 0, 7_168), (2, 0, 2_816), (2, 0, 5_632), (2, 0, 2_816), (1, 0, 5_632), (2, 0, 2_816), (9, 8, 28_672),
    ];

    /// <inheritdoc cref="NemotronSuper"/>
    static readonly (int Count, int KvHeads, int Ffn)[] NemotronUltra =
    [
        (1, 8, 5_376), (1, 8, 10_752), (6, 8, 16_128), (1, 8, 21_504), (4, 0, 0), (3, 8, 21_504), (2, 8, 53_248), (6, 0, 0), (3, 8, 53_248),
        (5, 0, 0), (3, 8, 53_248), (1, 8, 26_624), (3, 0, 0), (3, 8, 21_504), (1, 0, 21_504), (1, 8, 53_248), (1, 0, 53_248), (5, 0, 0),
        (4, 8, 53_248), (5, 0, 0), (4, 8, 53_248), (5, 0, 0), (4, 8, 53_248), (5, 0, 0), (4, 8, 53_248), (5, 0, 0), (1, 8, 53_248), (3, 8, 37_376),
        (2, 0, 0), (1, 8, 32_000), (3, 8, 26_624), (2, 0, 26_624), (1, 8, 26_624), (1, 0, 0), (7, 0, 26_624), (1, 8, 26_624), (5, 0, 0),
        (1, 8, 32_000), (1, 8, 53_248), (1, 0, 53_248), (1, 8, 53_248), (8, 0, 0), (1, 0, 399_360), (8, 0, 0), (1, 0, 425_984), (8, 0, 0),
        (1, 0, 343_040), (5, 0, 0), (1, 0, 301_056), (1, 0, 21_504), (1, 8, 21_504), (1, 8, 26_624), (1, 0, 0), (2, 8, 26_624), (1, 8, 37_376),
        (4, 8, 53_248), (1, 8, 26_624),
    ];

    static readonly ModelShape[] Known =
    [
        Llama3("llama-3.2-1b", layers: 16, hidden: 2048, ffn: 8192, heads: 32, headSize: 64, ropeFactor: 32, tied: true),
        Llama3("llama-3.1-8b", layers: 32, hidden: 4096, ffn: 14_336, heads: 32, headSize: 128, ropeFactor: 8, tied: false),
        Llama3("llama-3.1-70b", layers: 80, hidden: 8192, ffn: 28_672, heads: 64, headSize: 128, ropeFactor: 8, tied: false),
        Llama3("llama-3.1-405b", layers: 126, hidden: 16_384, ffn: 53_248, heads: 128, headSize: 128, ropeFactor: 8, tied: false),
        Llama4("llama-4-scout", experts: 16, layerStep: 1, context: 10_485_760, normsHeads: true, new RopeScaling.Llama3(16, 1, 1, 8192)),
        Llama4("llama-4-maverick", experts: 128, layerStep: 2, context: 1_048_576, normsHeads: false, scaling: null),
        Mixtral("mixtral-8x7b", layers: 32, hidden: 4096, ffn: 14_336, heads: 32, vocabulary: 32_000, context: 32_768),
        Mixtral("mixtral-8x22b", layers: 56, hidden: 6144, ffn: 16_384, heads: 48, vocabulary: 32_768, context: 65_536),
        Nemotron("llama-3.3-nemotron-super-49b", hidden: 8192, heads: 64, ropeFactor: 8, NemotronSuper),
        Nemotron("llama-3.1-nemotron-ultra-253b", hidden: 16_384, heads: 128, ropeFactor: 16, NemotronUltra),
    ];

    public static IReadOnlyList<string> PresetNames { get; } = [.. Known.Select(shape => shape.Name)];

    /// <exception cref="FormatException">One line that says what is wrong and what is possible.</exception>
    public static ModelShape Parse(string text) =>
        Array.Find(Known, shape => shape.Name == text) ?? (text.Contains('=') ? ParseFields(text) : throw Unknown(text));

    static ModelShape ParseFields(string text)
    {
        var fields = ReadFields(text);
        var (hidden, heads) = (Take(fields, "hidden"), Take(fields, "heads"));
        if (!fields.ContainsKey("head-size") && (heads <= 0 || hidden % heads != 0))
            throw new FormatException($"shape '{text}': hidden {hidden} is not a multiple of heads {heads}: give head-size too");
        var headSize = Take(fields, "head-size", heads > 0 ? hidden / heads : 0);
        var config = new LlamaConfig
        {
            LayerCount = Take(fields, "layers"),
            HiddenSize = hidden,
            FfnSize = Take(fields, "ffn"),
            HeadCount = heads,
            KvHeadCount = Take(fields, "kv-heads", heads),
            HeadSize = headSize,
            VocabularySize = Take(fields, "vocab"),
            ContextLength = Take(fields, "context", DefaultContext),
            RmsEpsilon = 1e-5f,
            RopeTheta = 10_000,
            RopeDimensionCount = headSize,
            TiedEmbeddings = false,
        };
        if (fields.ContainsKey("experts"))
            config = config with { Experts = MixtralExperts(Take(fields, "experts"), Take(fields, "experts-used", DefaultExpertsUsed), config.FfnSize) };
        if (fields.Count > 0) throw new FormatException($"shape '{text}': {fields.Keys.First()} is unknown");
        return LlamaConfigRules.FirstProblem(config) is { } problem ? throw new FormatException($"shape '{text}': {problem}") : new ModelShape(text, config);

        int Take(Dictionary<string, int> from, string name, int? otherwise = null) =>
            from.Remove(name, out var value) ? value : otherwise ?? throw new FormatException($"shape '{text}': {name} is missing");
    }

    static Dictionary<string, int> ReadFields(string text)
    {
        Dictionary<string, int> fields = new(StringComparer.Ordinal);
        foreach (var field in text.Split(','))
        {
            if (field.Split('=') is not [var name, var number] || !int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var value))
                throw new FormatException($"shape '{text}': '{field}' is not of the form name=number");
            if (!fields.TryAdd(name, value)) throw new FormatException($"shape '{text}': {name} is there twice");
        }
        return fields;
    }

    static FormatException Unknown(string text) =>
        new($"shape '{text}' is unknown: give one of {string.Join(", ", PresetNames)}, or hidden=..,layers=..,ffn=..,heads=..,vocab=..");

    static ModelShape Llama3(string name, int layers, int hidden, int ffn, int heads, int headSize, float ropeFactor, bool tied) => new(name, new LlamaConfig
    {
        LayerCount = layers,
        HiddenSize = hidden,
        FfnSize = ffn,
        HeadCount = heads,
        KvHeadCount = 8,
        HeadSize = headSize,
        VocabularySize = 128_256,
        ContextLength = 131_072,
        RmsEpsilon = 1e-5f,
        RopeTheta = 500_000,
        RopeDimensionCount = headSize,
        RopeScaling = new RopeScaling.Llama3(ropeFactor, LowFrequencyFactor: 1, HighFrequencyFactor: 4, OriginalContextLength: 8192),
        TiedEmbeddings = tied,
    });

    static ModelShape Nemotron(string name, int hidden, int heads, float ropeFactor, (int Count, int KvHeads, int Ffn)[] runs)
    {
        var sizes = new SizesOfLayers(runs.SelectMany(run => Enumerable.Repeat(new LayerSizes(run.KvHeads == 0 ? 0 : heads, run.KvHeads, run.Ffn), run.Count)));
        var shape = Llama3(name, sizes.Count, hidden, sizes.Greatest.FfnSize, heads, headSize: 128, ropeFactor, tied: false);
        return shape with { Config = shape.Config with { Sizes = sizes } };
    }

    static ModelShape Llama4(string name, int experts, int layerStep, int context, bool normsHeads, RopeScaling? scaling) => new(name, new LlamaConfig
    {
        LayerCount = 48,
        HiddenSize = 5120,
        FfnSize = 16_384,
        HeadCount = 40,
        KvHeadCount = 8,
        HeadSize = 128,
        VocabularySize = 202_048,
        ContextLength = context,
        RmsEpsilon = 1e-5f,
        RopeTheta = 500_000,
        RopeDimensionCount = 128,
        RopeScaling = scaling,
        TiedEmbeddings = false,
        Experts = new ExpertMixture { Count = experts, UsedCount = 1, FfnSize = 8192, LayerStep = layerStep, Gate = ExpertGate.Sigmoid, HasShared = true },
        Chunks = ChunkedAttention.Llama4,
        QueryScale = QueryScale.Llama4,
        NormsHeads = normsHeads,
    });

    static ModelShape Mixtral(string name, int layers, int hidden, int ffn, int heads, int vocabulary, int context) => new(name, new LlamaConfig
    {
        LayerCount = layers,
        HiddenSize = hidden,
        FfnSize = ffn,
        HeadCount = heads,
        KvHeadCount = 8,
        HeadSize = 128,
        VocabularySize = vocabulary,
        ContextLength = context,
        RmsEpsilon = 1e-5f,
        RopeTheta = 1_000_000,
        RopeDimensionCount = 128,
        TiedEmbeddings = false,
        Experts = MixtralExperts(count: 8, used: 2, ffn),
    });

    static ExpertMixture MixtralExperts(int count, int used, int ffn) =>
        new() { Count = count, UsedCount = used, FfnSize = ffn, LayerStep = 1, Gate = ExpertGate.Softmax, HasShared = false };
}
