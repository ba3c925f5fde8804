using System.Text;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Text;

/// <summary>What a model knows about text: its tokenizer and its chat template. Immutable and safe for concurrent use.</summary>
public sealed class ModelText
{
    readonly TemplateSource? _source;
    readonly Lazy<Parsed> _template;

    /// <param name="template">Null if the model has none.</param>
    /// <param name="bosText">Bos as the model's files write it; null to take the spelling of its token.</param>
    /// <param name="eosText">The same for eos.</param>
    public ModelText(ITokenizer tokenizer, TemplateSource? template, string? bosText = null, string? eosText = null)
    {
        Tokenizer = tokenizer;
        _source = template;
        BosText = bosText ?? WrittenForm(tokenizer.BosId);
        EosText = eosText ?? WrittenForm(tokenizer.EosId);
        _template = new Lazy<Parsed>(() => Parse(template));
    }

    public ITokenizer Tokenizer { get; }

    /// <summary>The model's chat template; null if it has none. It is parsed on first use, because tokenizing does not need it.</summary>
    /// <exception cref="ModelFormatException">The template cannot be parsed.</exception>
    public ChatTemplate? Template => _template.Value.Problem is { } problem
        ? throw new ModelFormatException($"{_source!.Origin}: {ErrorText.Sentence(problem)}", _template.Value.Cause)
        : _template.Value.Template;

    /// <summary>Why the chat template cannot be read, in one line that does not name the file; null if it can, or if the model has none.</summary>
    public string? TemplateProblem => _template.Value.Problem;

    /// <summary>The chat template's Jinja source; null if the model has none.</summary>
    public string? TemplateSource => _source?.Text;

    /// <summary>How the files say that embeddings are pooled; none: they say nothing.</summary>
    public Pooling Pooling { get; init; }

    /// <summary>What the files say of the tokens for filling in (<see cref="InfillTokens"/>).</summary>
    public InfillIds Infill { get; init; } = InfillIds.None;

    /// <summary>Bos as it is written, for the template; null if the model has none.</summary>
    public string? BosText { get; }

    /// <summary>Eos as it is written, for the template; null if the model has none.</summary>
    public string? EosText { get; }

    static Parsed Parse(TemplateSource? source)
    {
        if (source is null or { Problem: not null }) return new Parsed(null, source?.Problem, null);
        try
        {
            return new Parsed(ChatTemplate.Parse(source.Text), null, null);
        }
        catch (ChatTemplateException problem)
        {
            return new Parsed(null, problem.Message, problem);
        }
    }

    // Bos and eos are control tokens, whose bytes are their written form.
    string? WrittenForm(int? id) => id is { } token ? Encoding.UTF8.GetString(Tokenizer.BytesOf(token).Span) : null;

    sealed record Parsed(ChatTemplate? Template, string? Problem, ChatTemplateException? Cause);
}

/// <summary>A chat template that is not parsed yet.</summary>
/// <param name="Origin">The file and field that it comes from, for messages.</param>
public sealed record TemplateSource(string Text, string Origin)
{
    /// <summary>Why no template can be chosen, in one line that does not name the file; null if one was.</summary>
    public string? Problem { get; init; }
}
