using System.Text;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Model.Text.Templates;
using LlamaCluster.Model.Text.Tokenization;
using LlamaCluster.Model.Text.Tokenization.Gguf;
using LlamaCluster.Model.Text.Tokenization.HuggingFace;

namespace LlamaCluster.Model.Text;

/// <summary>What a model knows about text: its tokenizer and the template of its chats. Immutable; safe for concurrent use.</summary>
public sealed class ModelText
{
    readonly Lazy<ChatTemplate?> _template;

    internal ModelText(ITokenizer tokenizer, TemplateSource? template, string? bosText = null, string? eosText = null)
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

    /// <summary>Reads a model's text files.</summary>
    /// <param name="path">A .gguf file (the first part of a split one) or a Hugging Face folder, of which the tokenizer's files are enough; or a <see cref="RandomModelPath"/> or <see cref="QuantizedModelPath"/>.</param>
    /// <exception cref="ModelFormatException">Files are missing, damaged, or of a kind that is not supported.</exception>
    public static ModelText Open(string path)
    {
        path = ModelFiles.FilesOf(path);
        if (RandomModelPath.Is(path)) return new ModelText(new LetterTokenizer(RandomModelPath.Parse(path).ToShape().Config.VocabularySize), template: null);
        if (Directory.Exists(path)) return new FolderTextReader(path).Read();
        using var file = GgufFile.Open(path);
        return FromGguf(file.Metadata);
    }

    /// <summary>Reads the text part of a GGUF file, which must still be open.</summary>
    /// <exception cref="ModelFormatException">It is damaged or of a kind that is not supported.</exception>
    public static ModelText FromGguf(GgufMetadata metadata)
    {
        const string Key = "tokenizer.chat_template";
        var template = metadata.TryGetString(Key, out var text) ? new TemplateSource(text, $"{metadata.Path}: {Key}") : null;
        return new ModelText(new GgufTokenizerReader(metadata).Read(), template);
    }

    // Bos and eos are control tokens, whose bytes are their written form.
    string? WrittenForm(int? id) => id is { } token ? Encoding.UTF8.GetString(Tokenizer.BytesOf(token).Span) : null;
}
