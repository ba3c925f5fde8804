using LlamaCluster.Model.Formats.Gguf;

namespace LlamaCluster.Model.Formats;

/// <summary>Opens a model, whatever form its files have.</summary>
public static class ModelFiles
{
    /// <summary>Reads headers only. Close it by disposing it.</summary>
    /// <param name="path">A .gguf file (the first part of a split one) or a Hugging Face folder.</param>
    /// <exception cref="ModelFormatException">No model, a damaged one, or one of a kind that is not supported.</exception>
    public static IModelWeights Open(string path) => GgufWeights.Open(path);
}
