using System.Text;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Text;

/// <summary>What a model knows about text: its tokenizer and the template of its chats. Immutable; safe for concurrent use.</summary>
public sealed class ModelText
{
    readonly Lazy<ChatTemplate?> _template;

    /// <param name="template">Null if the model has none.</param>
    /// <param name="bosText">As the model's files write it; null: as its token is spelled.</param>
    /// <param name="eosText">Likewise.</param>
    public ModelText(ITokenizer tokenizer, TemplateSource? template, string? bosText = null, string? eosText = null)
    {
        Tokenizer = tokenizer;
        TemplateSource = template?.Text;
        BosText = bosText ?? WrittenForm(tokenizer.BosId);
        EosText = eosText ?? WrittenForm(tokenizer.EosId);
        _template = new Lazy<ChatTemplate?>(() => template?.Parse());
    }

    public ITokenizer Tokenizer { get; }

    /// <summary>The model's chat template; null if it has none. Read when first asked for: text can be tokenized without.</summary>
    /// <exception cref="ModelFormatException">The template cannot be read.</exception>
    public ChatTemplate? Template => _template.Value;

    /// <summary>The chat template's Jinja source; null if the model has none.</summary>
    public string? TemplateSource { get; }

    /// <summary>Bos as it is written, for the template; null if the model has none.</summary>
    public string? BosText { get; }

    /// <summary>Eos as it is written, for the template; null if the model has none.</summary>
    public string? EosText { get; }

    // Bos and eos are control tokens, whose bytes are their written form.
    string? WrittenForm(int? id) => id is { } token ? Encoding.UTF8.GetString(Tokenizer.BytesOf(token).Span) : null;
}

/// <summary>A chat template that is not read yet.</summary>
/// <param name="Origin">The file and field that it comes from, for messages.</param>
public sealed record TemplateSource(string Text, string Origin)
{
    public ChatTemplate Parse()
    {
        try
        {
            return ChatTemplate.Parse(Text);
        }
        catch (ChatTemplateException e)
        {
            throw new ModelFormatException($"{Origin}: {ErrorText.Sentence(e.Message)}", e);
        }
    }
}
