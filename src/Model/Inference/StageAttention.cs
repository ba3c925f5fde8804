using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Sequences;

namespace LlamaCluster.Model.Inference;

/// <summary>Attention in the layers of a stage over its KV. Layers whose rank's part has the same numbers of heads share what it computes in.</summary>
sealed class StageAttention : IDisposable
{
    readonly PagedAttention[] _all;

    /// <summary>By index among the stage's layers; null where a layer has no attention.</summary>
    readonly PagedAttention?[] _layers;

    /// <param name="threads">The most threads that will compute.</param>
    public StageAttention(LlamaConfig config, StageShape shape, StageSlice slice, StageOptions options, KvPool pool, int threads)
    {
        var window = config.Window is { } positions ? new AttentionWindow(positions, Slides: true) : new AttentionWindow(config.Chunks?.ChunkSize ?? 0);
        Dictionary<(int Heads, int KvHeads), PagedAttention> known = [];
        _layers = new PagedAttention?[shape.LayerCount];
        for (var layer = 0; layer < shape.LayerCount; layer++)
        {
            var own = slice.Of(config, shape.FirstLayer + layer);
            if (own.KvHeads.Count == 0) continue;
            if (!known.TryGetValue((own.Heads.Count, own.KvHeads.Count), out var attention))
            {
                attention = new PagedAttention(pool, own.Heads.Count, options.MaxStepRows, options.MaxSequenceLength, threads, window, layer);
                known.Add((own.Heads.Count, own.KvHeads.Count), attention);
            }
            _layers[layer] = attention;
        }
        _all = [.. known.Values];
    }

    /// <inheritdoc cref="PagedAttention.Begin"/>
    public void Begin(ReadOnlySpan<AttentionChunk> chunks)
    {
        foreach (var attention in _all) attention.Begin(chunks);
    }

    /// <inheritdoc cref="PagedAttention.Store"/>
    public bool Store(ComputeThreads threads, int layer, ReadOnlySpan<float> keys, ReadOnlySpan<float> values) =>
        _layers[layer]!.Store(threads, layer, keys, values);

    /// <inheritdoc cref="PagedAttention.Attend"/>
    public void Attend(ComputeThreads threads, int layer, ReadOnlySpan<float> queries, Span<float> output, bool inWindow) =>
        _layers[layer]!.Attend(threads, layer, queries, output, inWindow);

    public void Dispose()
    {
        foreach (var attention in _all) attention.Dispose();
    }
}
