using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Gguf;

namespace LlamaCluster.Testing.Models;

/// <summary>Writes a synthetic model as GGUF, with the keys that llama.cpp's converter writes.</summary>
sealed class SyntheticGguf(SyntheticModel model, Action<GgufPairs> describeTokenizer)
{
    public string Write(string path, int parts)
    {
        using var weights = model.Weights();
        if (parts == 1)
        {
            WriteFile(path, Metadata(), weights, weights.Tensors);
            return path;
        }
        var perPart = (weights.Tensors.Count + parts - 1) / parts;
        for (var part = 0; part < parts; part++)
        {
            var metadata = part == 0 ? Metadata() : new GgufPairs();
            metadata.Set("split.no", (ushort)part);
            metadata.Set("split.count", (ushort)parts);
            metadata.Set("split.tensors.count", weights.Tensors.Count);
            WriteFile(PartName(path, part, parts), metadata, weights, [.. weights.Tensors.Skip(part * perPart).Take(perPart)]);
        }
        return PartName(path, 0, parts);
    }

    static string PartName(string path, int part, int parts) => Path.ChangeExtension(path, null) + $"-{part + 1:00000}-of-{parts:00000}.gguf";

    static void WriteFile(string path, GgufPairs metadata, IModelWeights weights, IReadOnlyList<TensorInfo> tensors)
    {
        using var file = File.Create(path);
        GgufWriter.Write(file, metadata, weights, tensors);
    }

    GgufPairs Metadata()
    {
        var pairs = new GgufPairs();
        GgufConfigWriter.Write(pairs, model.Config);
        pairs.Set("general.name", model.Name);
        describeTokenizer(pairs);
        return pairs;
    }
}
