using LlamaCluster.Coordinator.Planning;
using LlamaCluster.Model.Formats;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Tests.Planning;

public sealed class ModelFootprintTests
{
    const string Path = "shape:hidden=64,layers=6,ffn=96,heads=4,vocab=80";

    [Fact]
    public void Layers_that_are_alike_take_the_memory_of_one_and_the_time_of_all()
    {
        var (each, once) = (Of(Path), Of($"{Path};share-layer-weights"));
        var layer = each.LayerBytes[0];

        Assert.Equal(each.WeightBytes(1, 4) - 3 * layer, once.WeightBytes(1, 4));
        Assert.Equal(each.WeightBytes(0, 6) - 5 * layer, once.WeightBytes(0, 6));
        Assert.Equal(each.BytesPerStep(1, 4), once.BytesPerStep(1, 4));
    }

    static ModelFootprint Of(string path)
    {
        using var weights = ModelFiles.Open(path);
        return ModelFootprint.Of(weights, KvType.F16);
    }
}
