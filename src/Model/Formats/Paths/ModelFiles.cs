using System.Text.RegularExpressions;
using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.HuggingFace;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Primitives;
using LlamaCluster.Text;
using LlamaCluster.Text.Tokenization;

namespace LlamaCluster.Model.Formats.Paths;

/// <summary>Opens a model, whatever form its files have.</summary>
public static partial class ModelFiles
{
    /// <summary>Reads headers only. Close it by disposing it.</summary>
    /// <param name="path">
    /// A .gguf file (the first part of a split one), a Hugging Face folder, a <see cref="RandomModelPath"/> or a <see cref="QuantizedModelPath"/>.
    /// </param>
    /// <exception cref="ModelFormatException">No model, a damaged one, or one of a kind that is not supported.</exception>
    public static IModelWeights Open(string path)
    {
        if (RandomModelPath.Is(path)) return RandomModelPath.Parse(path).Open();
        if (QuantizedModelPath.Is(path)) return QuantizedModelPath.Parse(path).Open();
        return IsFolder(path) ? HuggingFaceWeights.Open(path) : GgufWeights.Open(path);
    }

    /// <summary>Whether a model stands in a folder; otherwise it is a GGUF file. A file of another format is refused with what to give in its place.</summary>
    internal static bool IsFolder(string path)
    {
        if (Directory.Exists(path)) return true;
        return Path.GetExtension(path).ToLowerInvariant() switch
        {
            _ when !File.Exists(path) => false,
            ".safetensors" or ".json" or ".model" or ".jinja" =>
                throw new ModelFormatException($"{path}: is one file of a Hugging Face model: give the folder that it is in"),
            ".bin" or ".pt" or ".pth" =>
                throw new ModelFormatException($"{path}: is a PyTorch file, which is not supported: give a GGUF file or a folder with safetensors"),
            _ => false,
        };
    }

    /// <summary>Whether there is anything at this path to open.</summary>
    public static bool Exist(string path) => RandomModelPath.Is(path) || Path.Exists(FilesOf(path));

    /// <summary>Where the files are that a path means; the path itself, but for a <see cref="QuantizedModelPath"/>.</summary>
    /// <exception cref="ModelFormatException">It is a <see cref="QuantizedModelPath"/> without a type.</exception>
    public static string FilesOf(string path) => QuantizedModelPath.Is(path) ? QuantizedModelPath.Parse(path).Path : path;

    /// <summary>The path as other processes of this machine can use it, whatever their working directory.</summary>
    public static string FullPath(string path)
    {
        if (QuantizedModelPath.Is(path) && QuantizedModelPath.Parse(path) is var quantized)
            return (quantized with { Path = FullPath(quantized.Path) }).ToString();
        return RandomModelPath.Is(path) ? path : Path.GetFullPath(path);
    }

    /// <summary>When the model was last changed; 1970 for random weights, which never are.</summary>
    public static DateTimeOffset ChangedAt(string path) => RandomModelPath.Is(path) ? DateTimeOffset.UnixEpoch : File.GetLastWriteTimeUtc(FilesOf(path));

    /// <summary>
    /// What a model at this path is called in the API: the name of its folder, or of its file without extension and part number, and the type it is
    /// quantised to while it is read. Unlike the name stored inside, it tells two quantisations of one model apart.
    /// </summary>
    public static string IdOf(string path)
    {
        if (RandomModelPath.Is(path)) return path;
        if (QuantizedModelPath.Is(path) && QuantizedModelPath.Parse(path) is var quantized)
            return $"{IdOf(quantized.Path)}-{quantized.Target.ToString().ToLowerInvariant()}";
        var name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
        if (!name.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)) return name;
        return PartNumber().Replace(Path.GetFileNameWithoutExtension(name), "");
    }

    [GeneratedRegex(@"-\d{5}-of-\d{5}$")]
    private static partial Regex PartNumber();
}

/// <summary>Reads tokenizer and chat template from a model's files.</summary>
public static class ModelTextReader
{
    /// <param name="path">
    /// A .gguf file (the first part of a split one) or a Hugging Face folder, of which the tokenizer's files are enough; or a <see cref="RandomModelPath"/> or
    /// <see cref="QuantizedModelPath"/>.
    /// </param>
    /// <exception cref="ModelFormatException">Files are missing, damaged, or of a kind that is not supported.</exception>
    public static ModelText Open(string path)
    {
        path = ModelFiles.FilesOf(path);
        if (RandomModelPath.Is(path)) return new ModelText(new LetterTokenizer(RandomModelPath.Parse(path).ToShape().Config.VocabularySize), template: null);
        if (ModelFiles.IsFolder(path)) return new FolderTextReader(path).Read();
        using var file = GgufParts.OpenFirst(path);
        return FromGguf(file.Metadata);
    }

    /// <summary>Reads the text part of a GGUF file, which must still be open.</summary>
    /// <exception cref="ModelFormatException">It is damaged or of a kind that is not supported.</exception>
    public static ModelText FromGguf(GgufMetadata metadata)
    {
        const string Key = "tokenizer.chat_template";
        var template = metadata.TryGetString(Key, out var text) ? new TemplateSource(text, $"{metadata.Path}: {Key}") : null;
        var reader = new GgufTokenizerReader(metadata);
        var tokenizer = reader.Read();
        return new ModelText(tokenizer, template) { Pooling = PoolingOf(metadata), Infill = reader.ReadInfill(tokenizer.VocabularySize) };
    }

    /// <summary>Types that make no vector of a text (none, and rank, which makes a score) count as not said.</summary>
    static Pooling PoolingOf(GgufMetadata metadata) =>
        metadata.TryGetInt32("llama.pooling_type", out var type) && Enum.IsDefined((Pooling)type) ? (Pooling)type : Pooling.None;
}
