using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Protos;

namespace LlamaCluster.Planning.Tests;

/// <summary>Models to plan for.</summary>
static class Footprints
{
    public static ModelFootprint Of(string shape, string quant = "q4_0")
    {
        var config = ModelShape.Parse(shape).Config;
        return ModelFootprints.Of(shape, config, TensorMix.TensorsOf(config, quant)!, KvType.F16);
    }

    /// <summary>Eight KV heads, so that up to eight ranks have whole ones.</summary>
    public static ModelFootprint Small(int layers) => Of($"hidden=256,layers={layers},ffn=512,heads=8,kv-heads=8,vocab=512");

    /// <summary>Layers of one type of weights with the given bytes, an embedding and head of next to nothing.</summary>
    public static ModelFootprint OfLayers(IEnumerable<long> layerBytes, long headBytes = 0, long embeddingBytes = 0)
    {
        var split = new SplitSizes { HeadCount = 2, KvHeadCount = 2, FfnSize = 64, VocabularySize = 32, ColumnBlock = 32 };
        TypedWeights Weights(long bytes) => new("Q4_0", bytes * 32 / 18.0, bytes);
        LayerFootprint[] layers = [.. layerBytes.Select(bytes => new LayerFootprint([Weights(bytes / 2)], [Weights(bytes - bytes / 2)], 0))];
        return new ModelFootprint("made up", split, layers, Weights(embeddingBytes), Weights(headBytes), KvBlockBytes: 1000)
        {
            HiddenSize = 64,
            ContextLength = 2048,
            TiedEmbeddings = false,
        };
    }
}
