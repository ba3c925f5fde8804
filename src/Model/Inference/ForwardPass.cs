using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Model.Weights;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// The maths of a Llama (https://arxiv.org/abs/2302.13971), in their order, for the layers of one stage. B rows, D hidden, F ffn, H heads,
/// G kv heads, E head dim, V vocabulary, S rows that are sampled from. Facts, weights and buffers are given; nothing is allocated.
/// <para>
/// A rank of a tensor group has some of the heads, feed-forward columns and vocabulary: F, H, G and V are its own here. What it computes with them is a
/// part of a sum over all ranks, which meet twice in each layer (<see cref="AddToStream"/>). One rank alone has all of them, and its part
/// is the sum.
/// </para>
/// </summary>
sealed class ForwardPass(
    LlamaConfig config, ShardWeights weights, StageBuffers buffers, PagedAttention attention, RowDamage damage, ComputeThreads threads, IRankExchange exchange)
{
    readonly float[] _frequencies = RopeFrequencies.Of(config);
    readonly SharedBlocks _sharedBlocks = new(exchange, buffers.MaxRows);

    /// <summary>x[firstRow + i, D] = row tokens[i] of the embedding.</summary>
    public void Embed(ReadOnlySpan<int> tokens, int firstRow)
    {
        for (var i = 0; i < tokens.Length; i++)
            weights.Embedding!.DecodeRow(tokens[i], buffers.Stream.Slice((firstRow + i) * config.HiddenSize, config.HiddenSize));
    }

    /// <summary>
    /// x[B, D] goes through the stage's layers; each row is a position of a sequence. Where keys or values are not finite on any rank, those rows
    /// of x are not finite afterwards, on all ranks. Rows of other sequences do not notice.
    /// </summary>
    public void RunLayers(ReadOnlySpan<AttentionChunk> chunks)
    {
        attention.Begin(chunks);
        damage.Begin(buffers.Rows);
        SetAngles(chunks);
        for (var layer = 0; layer < weights.Layers.Count; layer++)
        {
            Attend(weights.Layers[layer], layer);
            FeedForward(weights.Layers[layer]);
        }
    }

    /// <summary>logits[S, V] = norm(h[S, D]) . head^T, of the rows that have been copied to the buffer's head rows, for the ids that are the rank's.</summary>
    public ReadOnlySpan<float> Head(int rows)
    {
        var h = buffers.HeadRows(rows);
        var logits = buffers.Logits(rows);
        var head = weights.Head!;
        RmsNorm.Apply(threads, h, weights.OutputNorm, config.RmsEpsilon, h);
        buffers.Inputs.Set(threads, h, rows, config.HiddenSize);
        MatMul.Multiply(threads, head.Matrix, head.First, head.Count, buffers.Inputs, logits);
        return logits;
    }

    void Attend(LayerWeights layer, int index)
    {
        var x = buffers.Stream;     // [B, D]
        var h = buffers.Normed;     // [B, D]
        var q = buffers.Queries;    // [B, H, E]
        var k = buffers.Keys;       // [B, G, E]
        var v = buffers.Values;     // [B, G, E]
        var a = buffers.Attended;   // [B, H, E]
        var slice = weights.Slice;

        RmsNorm.Apply(threads, x, layer.AttentionNorm, config.RmsEpsilon, h);
        buffers.Inputs.Set(threads, h, buffers.Rows, config.HiddenSize);
        MatMul.Multiply(threads, buffers.Inputs, layer.Query, q, layer.Key, k, layer.Value, v);
        Rope.Rotate(threads, q, slice.Heads.Count, config.HeadSize, buffers.Cosines, buffers.Sines);
        Rope.Rotate(threads, k, slice.KvHeads.Count, config.HeadSize, buffers.Cosines, buffers.Sines);

        var stored = attention.Store(threads, index, k, v);
        attention.Attend(threads, index, q, a);                 // a = softmax(q . k / sqrt(E)) . v
        if (!stored) damage.Spoil(index, x, k, v, a);
        AddToStream(layer.AttentionOutput, a, slice.Heads.Count * config.HeadSize);
    }

    void FeedForward(LayerWeights layer)
    {
        var x = buffers.Stream;     // [B, D]
        var h = buffers.Normed;     // [B, D]
        var gate = buffers.Gate;    // [B, F]
        var up = buffers.Up;        // [B, F]

        RmsNorm.Apply(threads, x, layer.FfnNorm, config.RmsEpsilon, h);
        buffers.Inputs.Set(threads, h, buffers.Rows, config.HiddenSize);
        MatMul.Multiply(threads, buffers.Inputs, layer.Gate, gate, layer.Up, up);
        SwiGlu.Apply(threads, gate, up);                        // gate = silu(gate) * up
        AddToStream(layer.Down, gate, weights.Slice.Ffn.Count);
    }

    /// <summary>x[B, D] += the sum over all ranks of a[B, C] . w[D, C]^T. While a part of the columns of D travels, the next is computed.</summary>
    /// <param name="columns">C</param>
    void AddToStream(ColumnSlice w, ReadOnlySpan<float> a, int columns)
    {
        var parts = new SumParts(config.HiddenSize, buffers.Rows, exchange.RankCount);
        buffers.Inputs.Set(threads, a, buffers.Rows, w.Matrix.Columns, w.Before, columns);
        if (w.SharesBlocks) _sharedBlocks.Scale(w, a, columns, buffers.Inputs);
        for (var i = 0; i < parts.Count; i++)
        {
            var part = parts[i];
            var y = buffers.Part(part);
            MatMul.Multiply(threads, w.Matrix, part.First, part.Count, buffers.Inputs, y);
            exchange.BeginSum(y);
        }
        for (var i = 0; i < parts.Count; i++)
        {
            var part = parts[i];
            var y = buffers.Part(part);
            exchange.CompleteSum(y);
            Residual.Add(threads, buffers.Stream, config.HiddenSize, part.First, part.Count, y);
        }
    }

    void SetAngles(ReadOnlySpan<AttentionChunk> chunks)
    {
        var width = config.RopeDimensionCount;
        foreach (var chunk in chunks)
        {
            for (var i = 0; i < chunk.Rows; i++)
            {
                var row = (chunk.FirstRow + i) * width;
                Rope.Angles(chunk.Start + i, _frequencies, buffers.Cosines.Slice(row, width), buffers.Sines.Slice(row, width));
            }
        }
    }
}
