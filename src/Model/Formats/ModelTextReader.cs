using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.HuggingFace;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Primitives;
using LlamaCluster.Text;
using LlamaCluster.Text.Tokenization;

namespace LlamaCluster.Model.Formats;

/// <summary>Reads tokenizer and chat template from a model's files.</summary>
public static class ModelTextReader
{
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
}
