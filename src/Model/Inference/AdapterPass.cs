using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Weights;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// What adapters add to the outputs of a stage's matrices, behind each product of the forward pass: y[row] += scale * B (A x[row]) for the rows of
/// sequences that use one. Rows of others are not touched: they have the bits that they have without adapters. A row with one has the same bits
/// whatever other rows are in the step.
/// <para>
/// A rank has of A or of B what belongs to its part of the matrix, so that its outputs are its own, or its part of a sum over ranks that is made anyway.
/// </para>
/// </summary>
sealed class AdapterPass : IDisposable
{
    readonly LlamaConfig _config;
    readonly ComputeThreads _threads;
    readonly LowRankProduct _product;
    readonly AdapterRows _rows;
    readonly AdapterRows _headRows;

    /// <param name="maxRank">The greatest that an adapter may have.</param>
    public AdapterPass(LlamaConfig config, StageShape shape, StageSlice slice, StageBuffers buffers, int maxRank, ComputeThreads threads)
    {
        (_config, _threads) = (config, threads);
        var (columns, outputs) = StageMemory.AdapterWidths(config, slice);
        _product = new LowRankProduct(buffers.MaxRows, maxRank, columns, outputs);
        (_rows, _headRows) = (new AdapterRows(buffers.MaxRows), new AdapterRows(shape.HasHead ? buffers.LogitRows : 0));
    }

    public long Bytes => _product.Bytes;

    /// <summary>The step's rows.</summary>
    public AdapterRows Rows => _rows;

    /// <summary>The rows that become logits.</summary>
    public AdapterRows HeadRows => _headRows;

    /// <summary>q[B, H, E], k[B, G, E] and v[B, G, E], of h[B, D].</summary>
    public void AddToAttention(int layer, ReadOnlySpan<float> h, Span<float> q, Span<float> k, Span<float> v)
    {
        for (var group = 0; group < _rows.Count; group++)
        {
            var its = _rows[group].Layers[layer];
            var rows = _rows.RowsOf(group, out var slot);
            if (rows.IsEmpty || (its.Query is null && its.Key is null && its.Value is null)) continue;
            _product.Project(_threads, h, _config.HiddenSize, rows, slot, its.Query, its.Key, its.Value);
            _product.Add(_threads, rows, slot, its.Query, q, its.Key, k, its.Value, v);
        }
    }

    /// <summary>gate[B, F] and up[B, F], of h[B, D].</summary>
    public void AddToFeedForward(int layer, ReadOnlySpan<float> h, Span<float> gate, Span<float> up)
    {
        for (var group = 0; group < _rows.Count; group++)
        {
            var its = _rows[group].Layers[layer];
            var rows = _rows.RowsOf(group, out var slot);
            if (rows.IsEmpty || (its.Gate is null && its.Up is null)) continue;
            _product.Project(_threads, h, _config.HiddenSize, rows, slot, its.Gate, its.Up);
            _product.Add(_threads, rows, slot, its.Gate, gate, its.Up, up);
        }
    }

    /// <summary>Takes the input of the matrix whose outputs go to the stream: attention's output, or down.</summary>
    /// <param name="a">[B, columns]</param>
    public void Project(int layer, bool isAttention, ReadOnlySpan<float> a, int columns)
    {
        for (var group = 0; group < _rows.Count; group++)
        {
            var rows = _rows.RowsOf(group, out var slot);
            if (ToStream(_rows[group].Layers[layer], isAttention) is { } pair && !rows.IsEmpty) _product.Project(_threads, a, columns, rows, slot, pair);
        }
    }

    /// <summary>A part of the outputs to the stream, y[B, count], of what was projected last.</summary>
    public void AddPart(int layer, bool isAttention, int first, int count, Span<float> y)
    {
        for (var group = 0; group < _rows.Count; group++)
        {
            var rows = _rows.RowsOf(group, out var slot);
            if (ToStream(_rows[group].Layers[layer], isAttention) is { } pair && !rows.IsEmpty)
                _product.AddPart(_threads, rows, slot, pair, first, count, y, count);
        }
    }

    /// <summary>logits[S, V], of h[S, D], for the rows of <see cref="HeadRows"/>.</summary>
    public void AddToHead(ReadOnlySpan<float> h, Span<float> logits)
    {
        for (var group = 0; group < _headRows.Count; group++)
        {
            if (_headRows[group].Head is not { } head) continue;
            var rows = _headRows.RowsOf(group, out var slot);
            _product.Project(_threads, h, _config.HiddenSize, rows, slot, head);
            for (var first = 0; first < head.B.Rows; first += _product.MaxOutputs)
                _product.AddPart(_threads, rows, slot, head, first, Math.Min(_product.MaxOutputs, head.B.Rows - first), logits[first..], head.B.Rows);
        }
    }

    public void Dispose() => _product.Dispose();

    static LowRankPair? ToStream(LayerAdapter layer, bool isAttention) => isAttention ? layer.AttentionOutput : layer.Down;
}
