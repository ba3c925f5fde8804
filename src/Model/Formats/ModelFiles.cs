using System.Text.RegularExpressions;
using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.HuggingFace;

namespace LlamaCluster.Model.Formats;

/// <summary>Opens a model, whatever form its files have.</summary>
public static partial class ModelFiles
{
    /// <summary>Reads headers only. Close it by disposing it.</summary>
    /// <param name="path">A .gguf file (the first part of a split one) or a Hugging Face folder.</param>
    /// <exception cref="ModelFormatException">No model, a damaged one, or one of a kind that is not supported.</exception>
    public static IModelWeights Open(string path)
    {
        if (Directory.Exists(path)) return HuggingFaceWeights.Open(path);
        return Path.GetExtension(path).ToLowerInvariant() switch
        {
            ".safetensors" or ".json" => throw new ModelFormatException($"{path}: is one file of a Hugging Face model: give the folder that it is in"),
            ".bin" or ".pt" or ".pth" => throw new ModelFormatException($"{path}: is a PyTorch file, which is not supported: give a GGUF file or a folder with safetensors"),
            _ => GgufWeights.Open(path),
        };
    }

    /// <summary>
    /// What a model at this path is called in the API: the name of its folder, or of its file without extension and part number. Unlike the name
    /// stored inside, it tells two quantisations of one model apart.
    /// </summary>
    public static string IdOf(string path)
    {
        var name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
        if (!name.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)) return name;
        return PartNumber().Replace(Path.GetFileNameWithoutExtension(name), "");
    }

    [GeneratedRegex(@"-\d{5}-of-\d{5}$")]
    private static partial Regex PartNumber();
}
