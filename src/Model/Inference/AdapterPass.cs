using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Weights;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// What adapters add to the outputs of a stage's matrices: y[row] += scale * B (A x[row]) for the rows of sequences that use one. A x is computed beside the
/// matrix's own product, and the rest is added behind it. Rows of others are not touched: they have the bits that they have without adapters. A row with one has the same bits
/// whatever other rows are in the step.
/// <para>
/// A rank has of A or of B what belongs to its part of the matrix, so that its outputs are its own, or its part of a sum over ranks that is made anyway.
/// </para>
/// </summary>
sealed class AdapterPass : IDisposable
{
    readonly ComputeThreads _threads;
    readonly LowRankProduct _product;
    readonly AdapterRows _rows;
    readonly AdapterRows _headRows;

    /// <param name="maxRank">The greatest that an adapter may have.</param>
    public AdapterPass(LlamaConfig config, StageShape shape, StageSlice slice, StageBuffers buffers, int maxRank, ComputeThreads threads)
    {
        _threads = threads;
        var (columns, outputs) = StageMemory.AdapterWidths(config, slice);
        _product = new LowRankProduct(buffers.MaxRows, maxRank, columns, outputs);
        (_rows, _headRows) = (new AdapterRows(buffers.MaxRows), new AdapterRows(shape.HasHead ? buffers.LogitRows : 0));
    }

    public long Bytes => _product.Bytes;

    /// <summary>The step's rows.</summary>
    public AdapterRows Rows => _rows;

    /// <summary>The rows that become logits.</summary>
    public AdapterRows HeadRows => _headRows;

    /// <summary>Projects the input of q, k and v, beside their product.</summary>
    /// <returns>For that product.</returns>
    public LowRankProduct OfAttention(int layer, MatMulInput h)
    {
        for (var group = 0; group < _rows.Count; group++)
        {
            var its = _rows[group].Layers[layer];
            Project(_rows, group, h, its.Query, its.Key, its.Value);
        }
        return _product;
    }

    /// <summary>q[B, H, E], k[B, G, E] and v[B, G, E], of what was projected.</summary>
    public void AddToAttention(int layer, Span<float> q, Span<float> k, Span<float> v)
    {
        for (var group = 0; group < _rows.Count; group++)
        {
            var its = _rows[group].Layers[layer];
            Add(_rows, group, its.Query, q, its.Key, k, its.Value, v);
        }
    }

    /// <summary>Projects the input of gate and up, beside their product.</summary>
    /// <returns>For that product.</returns>
    public LowRankProduct OfFeedForward(int layer, MatMulInput h)
    {
        for (var group = 0; group < _rows.Count; group++)
        {
            var its = _rows[group].Layers[layer];
            Project(_rows, group, h, its.Gate, its.Up);
        }
        return _product;
    }

    /// <summary>gate[B, F] and up[B, F], of what was projected.</summary>
    public void AddToFeedForward(int layer, Span<float> gate, Span<float> up)
    {
        for (var group = 0; group < _rows.Count; group++)
        {
            var its = _rows[group].Layers[layer];
            Add(_rows, group, its.Gate, gate, its.Up, up);
        }
    }

    /// <summary>Projects the input of the matrix whose outputs go to the stream, beside its product: attention's output, or down.</summary>
    /// <returns>For that product.</returns>
    public LowRankProduct OfStream(int layer, bool isAttention, MatMulInput a)
    {
        for (var group = 0; group < _rows.Count; group++) Project(_rows, group, a, ToStream(_rows[group].Layers[layer], isAttention));
        return _product;
    }

    /// <summary>A part of the outputs to the stream, y[B, count], of what was projected last.</summary>
    public void AddPart(int layer, bool isAttention, int first, int count, Span<float> y)
    {
        for (var group = 0; group < _rows.Count; group++)
        {
            var rows = _rows.RowsOf(group, out var slot);
            if (ToStream(_rows[group].Layers[layer], isAttention) is { } pair && !rows.IsEmpty)
                _product.AddPart(_threads, rows.Span, slot, pair, first, count, y, count);
        }
    }

    /// <summary>Projects the input of the head, for the rows of <see cref="HeadRows"/>, beside its product.</summary>
    /// <returns>For that product.</returns>
    public LowRankProduct OfHead(MatMulInput h)
    {
        for (var group = 0; group < _headRows.Count; group++) Project(_headRows, group, h, _headRows[group].Head);
        return _product;
    }

    /// <summary>logits[S, V], of what was projected.</summary>
    public void AddToHead(Span<float> logits)
    {
        for (var group = 0; group < _headRows.Count; group++)
        {
            if (_headRows[group].Head is not { } head) continue;
            var rows = _headRows.RowsOf(group, out var slot);
            for (var first = 0; first < head.B.Rows; first += _product.MaxOutputs)
                _product.AddPart(_threads, rows.Span, slot, head, first, Math.Min(_product.MaxOutputs, head.B.Rows - first), logits[first..], head.B.Rows);
        }
    }

    public void Dispose() => _product.Dispose();

    void Project(AdapterRows its, int group, MatMulInput x, LowRankPair? w0, LowRankPair? w1 = null, LowRankPair? w2 = null)
    {
        var rows = its.RowsOf(group, out var slot);
        if (!rows.IsEmpty && (w0 ?? w1 ?? w2) is not null) _product.Project(_threads, x, rows, slot, w0, w1, w2);
    }

    void Add(AdapterRows its, int group, LowRankPair? w0, Span<float> y0, LowRankPair? w1, Span<float> y1, LowRankPair? w2 = null, Span<float> y2 = default)
    {
        var rows = its.RowsOf(group, out var slot);
        if (!rows.IsEmpty && (w0 ?? w1 ?? w2) is not null) _product.Add(_threads, rows.Span, slot, w0, y0, w1, y1, w2, y2);
    }

    static LowRankPair? ToStream(LayerAdapter layer, bool isAttention) => isAttention ? layer.AttentionOutput : layer.Down;
}
