using LlamaCluster.Model.Config;
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
        var config = model.Config;
        var pairs = new GgufPairs();
        pairs.Set("general.architecture", "llama");
        pairs.Set("general.name", model.Name);
        pairs.Set("llama.block_count", (uint)config.LayerCount);
        pairs.Set("llama.context_length", (uint)config.ContextLength);
        pairs.Set("llama.embedding_length", (uint)config.HiddenSize);
        pairs.Set("llama.feed_forward_length", (uint)config.FfnSize);
        pairs.Set("llama.attention.head_count", (uint)config.HeadCount);
        pairs.Set("llama.attention.head_count_kv", (uint)config.KvHeadCount);
        pairs.Set("llama.attention.key_length", (uint)config.HeadSize);
        pairs.Set("llama.attention.value_length", (uint)config.HeadSize);
        pairs.Set("llama.attention.layer_norm_rms_epsilon", config.RmsEpsilon);
        pairs.Set("llama.rope.dimension_count", (uint)config.RopeDimensionCount);
        pairs.Set("llama.rope.freq_base", config.RopeTheta);
        pairs.Set("llama.vocab_size", (uint)config.VocabularySize);
        DescribeScaling(pairs, config.RopeScaling);
        describeTokenizer(pairs);
        return pairs;
    }

    static void DescribeScaling(GgufPairs pairs, RopeScaling? scaling)
    {
        if (scaling is RopeScaling.Llama3) throw new NotSupportedException("GGUF has Llama 3's scaling as divisors: use RopeScaling.Factors");
        if (scaling is not RopeScaling.Linear linear) return;
        pairs.Set("llama.rope.scaling.type", "linear");
        pairs.Set("llama.rope.scaling.factor", linear.Factor);
    }
}
