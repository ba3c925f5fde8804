using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Weights;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// What adapters add to the outputs of a stage's matrices: y[row] += scale * B (A x[row]) for the rows of sequences that use one, by the threads that compute
/// the matrix's own product, while they do. Rows of others are not touched: they have the bits that they have without adapters. A row with one has the same
/// bits whatever other rows are in the step.
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
        _product = new LowRankProduct(buffers.MaxRows, maxRank, StageMemory.AdapterColumns(config, slice));
        (_rows, _headRows) = (new AdapterRows(buffers.MaxRows), new AdapterRows(shape.HasHead ? buffers.LogitRows : 0));
    }

    public long Bytes => _product.Bytes;

    /// <summary>The step's rows.</summary>
    public AdapterRows Rows => _rows;

    /// <summary>x[firstRow + i, D] += what the adapter adds to the embedding of tokens[i].</summary>
    public void AddToEmbedding(LowRankPair embedding, ReadOnlySpan<int> tokens, Span<float> x, int firstRow) =>
        _product.AddRows(embedding, tokens, x, firstRow);

    /// <summary>For the products q, k and v of the normed stream.</summary>
    public LowRankProduct OfAttention(int layer, MatMulInput h)
    {
        _product.Begin();
        for (var group = 0; group < _rows.Count; group++)
        {
            var its = _rows[group].Layers[layer];
            Project(_rows, group, h, its.Query, its.Key, its.Value);
        }
        return _product;
    }

    /// <summary>For the products gate and up of the normed stream.</summary>
    public LowRankProduct OfFeedForward(int layer, MatMulInput h)
    {
        _product.Begin();
        for (var group = 0; group < _rows.Count; group++)
        {
            var its = _rows[group].Layers[layer];
            Project(_rows, group, h, its.Gate, its.Up);
        }
        return _product;
    }

    /// <summary>For the product whose outputs go to the stream, in all its parts: attention's output, or down.</summary>
    public LowRankProduct OfStream(int layer, bool isAttention, MatMulInput a)
    {
        _product.Begin();
        for (var group = 0; group < _rows.Count; group++)
        {
            var its = _rows[group].Layers[layer];
            Project(_rows, group, a, isAttention ? its.AttentionOutput : its.Down);
        }
        return _product;
    }

    /// <summary>For the head's product of rows with these adapters.</summary>
    /// <param name="first">The row of the head's matrix that the rank's ids begin with.</param>
    public LowRankProduct OfHead(ReadOnlySpan<ShardAdapter?> adapters, MatMulInput h, int first)
    {
        _product.Begin(first);
        _headRows.Clear();
        foreach (var adapter in adapters) _headRows.Add(adapter, 1);
        _headRows.Gather(adapters.Length);
        for (var group = 0; group < _headRows.Count; group++) Project(_headRows, group, h, _headRows[group].Head);
        return _product;
    }

    public void Dispose() => _product.Dispose();

    void Project(AdapterRows its, int group, MatMulInput x, LowRankPair? w0, LowRankPair? w1 = null, LowRankPair? w2 = null)
    {
        var rows = its.RowsOf(group, out var slot);
        if (!rows.IsEmpty && (w0 ?? w1 ?? w2) is not null) _product.Project(_threads, x, rows, slot, w0, w1, w2);
    }
}
