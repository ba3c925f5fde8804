using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Adapters;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>The memory that workers keep for adapters that are loaded while the cluster runs, beside those that there are at the start.</summary>
public sealed class AdapterRoom
{
    readonly long[] _layers;   // bytes of each

    AdapterRoom(long[] layers, int vocabularyRows) => (_layers, VocabularyRows) = (layers, vocabularyRows);

    /// <param name="ranks">The ranks of adapters, added up: in F16, on all matrices of the layers.</param>
    /// <param name="vocabularyRows">Rows of whole embeddings, and as many of heads, added up: in F16.</param>
    public AdapterRoom(LlamaConfig config, int ranks, int vocabularyRows)
    {
        VocabularyRows = vocabularyRows;
        var ofLayers = BytesOf([AdapterContent.OnAllMatrices(config, rank: 1)]);
        _layers = [.. Enumerable.Range(0, config.LayerCount).Select(layer => ranks * ofLayers.GetValueOrDefault(layer))];
        var rows = (long)vocabularyRows * config.HiddenSize * sizeof(ushort);
        foreach (var target in AdapterTargets.Of(config).Values.Where(target => target.IsOfVocabulary)) _layers[PlaceOf(target, config.LayerCount)] += rows;
    }

    public static AdapterRoom None { get; } = new([], 0);

    /// <summary>Rows that the whole embedding of one adapter may have; 0: as the model's.</summary>
    public int VocabularyRows { get; }

    /// <summary>Of all layers.</summary>
    public long Bytes => _layers.Sum();

    /// <summary>The room with what adapters take that are there from the start.</summary>
    public AdapterRoom Behind(IEnumerable<AdapterContent> adapters)
    {
        var taken = BytesOf(adapters);
        if (taken.Count == 0) return this;
        var layers = new long[Math.Max(_layers.Length, taken.Keys.Max() + 1)];
        for (var layer = 0; layer < layers.Length; layer++) layers[layer] = _layers.ElementAtOrDefault(layer) + taken.GetValueOrDefault(layer);
        return new AdapterRoom(layers, VocabularyRows);
    }

    /// <summary>A model with what adapters take, or with the room for them where that is more. A rank holds a part of it, and is reckoned with all.</summary>
    /// <param name="held">The adapters that there are.</param>
    public ModelFootprint AddTo(ModelFootprint model, IEnumerable<AdapterContent> held)
    {
        var taken = BytesOf(held);
        if (taken.Count == 0 && Bytes == 0) return model;
        LayerFootprint[] layers = [.. model.Layers.Select((layer, index) => layer with
        {
            AdapterBytes = Math.Max(_layers.ElementAtOrDefault(index), taken.GetValueOrDefault(index)),
        })];
        return new ModelFootprint(model.Name, model.Split, layers, model.Embedding, model.Head, model.KvBlockBytes)
        {
            HiddenSize = model.HiddenSize,
            ContextLength = model.ContextLength,
            TiedEmbeddings = model.TiedEmbeddings,
            LayersAreAlike = model.LayersAreAlike,
        };
    }

    /// <summary>Of each layer. The embedding is where the first layer is, and the head where the last one is.</summary>
    static Dictionary<int, long> BytesOf(IEnumerable<AdapterContent> adapters)
    {
        var bytes = new Dictionary<int, long>();
        foreach (var adapter in adapters)
        {
            foreach (var pair in adapter.Pairs) Add(pair.Target, adapter.LayerCount, pair.A.Bytes + pair.B.Bytes);
            foreach (var whole in adapter.Replacements) Add(whole.Target, adapter.LayerCount, whole.Tensor.Bytes);
        }
        return bytes;

        void Add(AdapterTarget target, int layers, long more)
        {
            var layer = target.Layer ?? PlaceOf(target, layers);
            bytes[layer] = bytes.GetValueOrDefault(layer) + more;
        }
    }

    static int PlaceOf(AdapterTarget target, int layers) => target.IsHead ? layers - 1 : 0;
}
