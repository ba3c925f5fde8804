using System.Text;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Text.Tokenization.Gguf;
using LlamaCluster.Model.Text.Tokenization.HuggingFace;

namespace LlamaCluster.Model.Text;

/// <summary>What a model knows about text: its tokenizer and the template of its chats. Immutable; safe for concurrent use.</summary>
public sealed class ModelText
{
    public required ITokenizer Tokenizer { get; init; }

    /// <summary>The chat template's Jinja source; null if the model has none.</summary>
    public string? TemplateSource { get; init; }

    /// <summary>Bos as it is written, for the template.</summary>
    public string? BosText { get; init; }

    /// <summary>Eos as it is written, for the template.</summary>
    public string? EosText { get; init; }

    /// <summary>Reads a model's text files.</summary>
    /// <param name="path">A .gguf file (the first part of a split one) or a Hugging Face folder, of which the tokenizer's files are enough.</param>
    /// <exception cref="ModelFormatException">Files are missing, damaged, or of a kind that is not supported.</exception>
    public static ModelText Open(string path)
    {
        if (Directory.Exists(path)) return new FolderTextReader(path).Read();
        using var file = GgufFile.Open(path);
        return FromGguf(file.Metadata);
    }

    /// <summary>The metadata's file must still be open.</summary>
    public static ModelText FromGguf(GgufMetadata metadata)
    {
        var tokenizer = new GgufTokenizerReader(metadata).Read();
        return new ModelText
        {
            Tokenizer = tokenizer,
            TemplateSource = metadata.TryGetString("tokenizer.chat_template", out var template) ? template : null,
            BosText = WrittenForm(tokenizer, tokenizer.BosId),
            EosText = WrittenForm(tokenizer, tokenizer.EosId),
        };
    }

    // Bos and eos are control tokens, whose bytes are their written form.
    internal static string? WrittenForm(ITokenizer tokenizer, int? id) =>
        id is { } token ? Encoding.UTF8.GetString(tokenizer.BytesOf(token).Span) : null;
}
