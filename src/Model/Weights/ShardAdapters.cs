using System.Collections.Concurrent;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Adapters;

namespace LlamaCluster.Model.Weights;

/// <summary>The adapters of a shard, by the ids that sequences name. Safe for concurrent use.</summary>
/// <param name="maxRank">The greatest rank that one may have: stages make room for it.</param>
/// <param name="maxVocabulary">The greatest vocabulary of any, and of the model: stages make room for its logits.</param>
public sealed class ShardAdapters(int maxRank, int maxVocabulary) : IDisposable
{
    readonly ConcurrentDictionary<ulong, ShardAdapter> _byId = [];

    public int MaxRank => maxRank;

    public int MaxVocabulary => maxVocabulary;

    /// <summary>A rank's parts of adapters, read from the adapters themselves.</summary>
    /// <exception cref="ModelFormatException">They cannot be read.</exception>
    public static ShardAdapters Load(IReadOnlyDictionary<ulong, AdapterWeights> adapters, LlamaConfig config, StageShape shape, StageSlice slice)
    {
        var loaded = new ShardAdapters(
            Math.Max(1, adapters.Values.Max(adapter => adapter.MaxRank)), adapters.Values.Max(adapter => adapter.Content.VocabularySize));
        try
        {
            foreach (var (id, adapter) in adapters) loaded.Add(id, ShardAdapter.Load(adapter, config, shape, slice));
            return loaded;
        }
        catch
        {
            loaded.Dispose();
            throw;
        }
    }

    /// <summary>Resident size of all.</summary>
    public long Bytes => _byId.Values.Sum(adapter => adapter.Bytes);

    public IReadOnlyCollection<ulong> Ids => [.. _byId.Keys];

    public ShardAdapter? Find(ulong id) => _byId.GetValueOrDefault(id);

    /// <summary>The adapter for one who uses it, and disposes of it in the end. Null: there is none of this id.</summary>
    public ShardAdapter? Use(ulong id) => Find(id) is { } adapter && adapter.TryUse() ? adapter : null;

    /// <param name="id">Above 0: that stands for none.</param>
    /// <param name="adapter">Owned from now on.</param>
    /// <exception cref="ArgumentException">There is one of this id, or it has a greater rank or vocabulary than there is room for.</exception>
    public void Add(ulong id, ShardAdapter adapter)
    {
        if (id == 0 || adapter.MaxRank > maxRank)
            throw new ArgumentException($"adapter {id} has rank {adapter.MaxRank}; there is room for {maxRank}", nameof(adapter));
        if (adapter.VocabularySize > maxVocabulary)
            throw new ArgumentException($"adapter {id} has a vocabulary of {adapter.VocabularySize}; there is room for {maxVocabulary}", nameof(adapter));
        if (!_byId.TryAdd(id, adapter)) throw new ArgumentException($"there is an adapter {id} already", nameof(id));
    }

    /// <summary>Takes an adapter out, which the caller owns then. Sequences that use it keep it.</summary>
    public ShardAdapter? Remove(ulong id) => _byId.TryRemove(id, out var adapter) ? adapter : null;

    public void Dispose()
    {
        foreach (var id in _byId.Keys) Remove(id)?.Dispose();
    }
}
