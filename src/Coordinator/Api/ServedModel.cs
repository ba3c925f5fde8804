using System.Globalization;
using System.Runtime.CompilerServices;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Primitives;
using LlamaCluster.Text;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Coordinator.Api;

/// <summary>What the API knows of the model it answers for.</summary>
/// <param name="Name">The name clients ask for.</param>
/// <param name="Digest">Hex digest of the model's content, with or without an algorithm in front ("sha256:...").</param>
/// <param name="ContextLength">Most tokens that prompt and answer may have together.</param>
/// <param name="Template">Null where the model has none, or none that can be read; chat is then refused.</param>
/// <param name="BosText">How the token that begins a text is written; empty if there is none.</param>
/// <param name="EosText">How the token that ends a text is written; empty if there is none.</param>
/// <param name="Created">When the model's files were last changed, as far as that is known.</param>
public sealed record ServedModel(
    string Name,
    string Digest,
    int ContextLength,
    ITokenizer Tokenizer,
    ChatTemplate? Template,
    string BosText,
    string EosText,
    DateTimeOffset Created)
{
    readonly ConditionalWeakTable<ServedAdapter, ServedModel> _named = [];

    FoundInfill? _infill;

    /// <summary>
    /// Why the model's chat template cannot be read; null if it can, or if there is none. It is no reason not to start: the model still completes texts.
    /// </summary>
    public string? TemplateProblem { get; init; }

    /// <summary>The longest context that the model was made for. It may be served with a shorter one.</summary>
    public int LongestContext { get; init; } = ContextLength;

    /// <summary>D: the numbers of an embedding; 0: not known.</summary>
    public int HiddenSize { get; init; }

    /// <summary>How the model's files say that embeddings are pooled; none: they say nothing.</summary>
    public Pooling Pooling { get; init; }

    /// <summary>What the model's files say of its tokens for filling in.</summary>
    public InfillIds InfillIds
    {
        get;
        init => (field, _infill) = (value, null);   // a copy with others finds others
    } = InfillIds.None;

    /// <summary>The tokens by which it is asked for text between two others; null: it cannot fill in. Looked for when first asked.</summary>
    public InfillTokens? Infill => (_infill ??= new(InfillTokens.Find(Tokenizer, InfillIds))).Tokens;

    /// <summary>How large the model is; nothing is known of it by default.</summary>
    public ModelSize Size { get; init; } = new(0, 0, "");

    /// <summary>Adapters that requests may name in the model's place; none by default.</summary>
    public AdapterRegistry Adapters { get; init; } = AdapterRegistry.Empty;

    /// <summary>The model that an adapter changes; null: this is no adapter.</summary>
    public string? Parent { get; private init; }

    /// <summary>
    /// Digest of what token ids belong to. Adapters share the model's, so that conversations go on from one to another by their ids; one with a vocabulary of
    /// its own has its own.
    /// </summary>
    public string TokensDigest => SharedTokens ?? Digest;

    /// <summary>Digest of the model whose tokens an adapter shares; null: it is the model, or has its own.</summary>
    string? SharedTokens { get; init; }

    /// <summary>OpenAI's system_fingerprint: equal for equal weights.</summary>
    public string Fingerprint { get; private init; } = FingerprintOf(Digest);

    /// <summary>The names of all that can be asked for.</summary>
    public string Names => string.Join("', '", [Name, .. Adapters.All.Select(adapter => adapter.Name)]);

    /// <summary>The model under the name that a request asks for.</summary>
    /// <param name="adapter">Null: the model itself.</param>
    public ServedModel Named(ServedAdapter? adapter) => adapter is null ? this : _named.GetValue(adapter, With);

    /// <summary>The model, or the adapter with a vocabulary of its own, that ids belong to; null: nothing that is served.</summary>
    /// <param name="digest">A <see cref="TokensDigest"/>.</param>
    public ServedModel? OfTokens(string? digest) => digest == TokensDigest
        ? this
        : Adapters.All.Where(adapter => adapter.Text is not null).Select(Named).FirstOrDefault(named => named.TokensDigest == digest);

    /// <summary>Bytes of the longest token: no prompt has fewer tokens than its bytes divided by this.</summary>
    public int LongestToken { get; private init; } = LongestOf(Tokenizer);

    /// <summary>The model as an adapter changes it, with the adapter's tokens where it has its own.</summary>
    ServedModel With(ServedAdapter adapter)
    {
        var named = this with
        {
            Name = adapter.Name,
            Digest = adapter.Digest,
            Created = adapter.Created,
            Parent = Name,
            Fingerprint = FingerprintOf(adapter.Digest),
        };
        return adapter.Text is not { } text ? named with { SharedTokens = TokensDigest } : named with
        {
            Tokenizer = text.Tokenizer,
            LongestToken = LongestOf(text.Tokenizer),
            Template = text.TemplateProblem is null ? text.Template ?? Template : null,
            TemplateProblem = text.TemplateSource is null ? TemplateProblem : text.TemplateProblem,
            BosText = text.BosText ?? "",
            EosText = text.EosText ?? "",
            InfillIds = text.Infill,
        };
    }

    static int LongestOf(ITokenizer tokenizer)
        => Enumerable.Range(0, tokenizer.VocabularySize).Select(id => tokenizer.BytesOf(id).Length).DefaultIfEmpty().Max();

    static string FingerprintOf(string digest)
    {
        var start = digest.LastIndexOf(':') + 1;
        return $"fp_{digest[start..][..Math.Min(10, digest.Length - start)]}";
    }
}

/// <summary>What looking for tokens has found, which may be nothing.</summary>
sealed record FoundInfill(InfillTokens? Tokens);

/// <summary>How large a model is.</summary>
/// <param name="Bytes">Of its weights as they are stored.</param>
/// <param name="Parameters">Numbers in its weights.</param>
/// <param name="Quantization">The tensor type that most of its bytes have, such as Q4_K.</param>
public sealed record ModelSize(long Bytes, long Parameters, string Quantization)
{
    /// <summary>"8.0B", "5.2M": as people write it.</summary>
    public string ParametersText => Parameters >= 1_000_000_000
        ? string.Create(CultureInfo.InvariantCulture, $"{Parameters / 1e9:0.0}B")
        : string.Create(CultureInfo.InvariantCulture, $"{Parameters / 1e6:0.0}M");
}
