using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Primitives;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Long.Tests;

/// <summary>A file to measure with: 1,169 MB of random weights in Q8_0, of the 1.1B shape, with <see cref="ByteVocabulary"/>'s tokens.</summary>
static class RandomGguf
{
    /// <returns>The path.</returns>
    public static string Write(string path)
    {
        using var weights = new RandomModelPath("hidden=2048,layers=22,ffn=5632,heads=32,kv-heads=4,vocab=32000", TensorType.Q8_0).Open();
        var pairs = new GgufPairs();
        GgufConfigWriter.Write(pairs, weights.Config);
        ByteVocabulary.Describe(pairs, weights.Config.VocabularySize);
        using var file = File.Create(path);
        GgufWriter.Write(file, pairs, weights, weights.Tensors);
        return path;
    }
}
