using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Model.Weights;
using LlamaCluster.Primitives;

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
    LlamaConfig config, StageShape shape, ShardWeights weights, StageBuffers buffers, StageAttention attention, RowDamage damage, ComputeThreads threads,
    IRankExchange exchange, AdapterPass? adapters = null)
{
    readonly float[] _frequencies = RopeFrequencies.Of(config);
    readonly float _magnitude = RopeFrequencies.MagnitudeOf(config);
    readonly SharedBlocks _sharedBlocks = new(exchange, buffers.MaxRows);

    /// <summary>Null where the model has no experts.</summary>
    readonly ExpertLayer? _experts = config.Experts is null ? null : new ExpertLayer(config, buffers, new SharedBlocks(exchange, buffers.MaxRows), threads);

    /// <summary>[E] a norm's weights for heads, which have none of their own; empty where heads are not normed.</summary>
    readonly float[] _headNorm = config.NormsHeads ? [.. Enumerable.Repeat(1f, config.HeadSize)] : [];

    /// <summary>[B] what queries are multiplied by where they grow with their position; empty where they do in no layer.</summary>
    readonly float[] _queryScales = new float[config.QueryScale is null ? 0 : buffers.MaxRows];

    /// <summary>
    /// x[firstRow + i, D] = row tokens[i] of the embedding, which is the adapter's where that brings one. An id that it has no row for gives zeros.
    /// </summary>
    public void Embed(ReadOnlySpan<int> tokens, int firstRow, ShardAdapter? adapter)
    {
        var embedding = adapter?.OwnEmbedding ?? weights.Embedding!;
        for (var i = 0; i < tokens.Length; i++)
        {
            var x = buffers.Stream.Slice((firstRow + i) * config.HiddenSize, config.HiddenSize);
            if (tokens[i] < embedding.Rows) embedding.DecodeRow(tokens[i], x);
            else x.Clear();   // of a sequence that has failed, since its adapter is not here
        }
        if (adapter?.Embedding is { } pair) adapters!.AddToEmbedding(pair, tokens, buffers.Stream, firstRow);
    }

    /// <summary>
    /// x[B, D] goes through the stage's layers; each row is a position of a sequence. Where keys or values are not finite on any rank, those rows
    /// of x are not finite afterwards, on all ranks. Rows of other sequences do not notice.
    /// </summary>
    /// <param name="depths">How many of the stage's layers each chunk goes through, in descending order.</param>
    public void RunLayers(ReadOnlySpan<AttentionChunk> chunks, ReadOnlySpan<int> depths)
    {
        var rows = buffers.Rows;
        attention.Begin(chunks);
        damage.Begin(rows);
        SetAngles(chunks);
        if (config.QueryScale is { } scale) SetQueryScales(scale, chunks);
        for (var layer = 0; layer < weights.Layers.Count && !chunks.IsEmpty; layer++)
        {
            var its = weights.Layers[layer];
            if (its.Attention is { } attending) Attend(attending, layer);
            else if (its.Linear is { } linear) Multiply(linear, layer);
            if (its.Experts is { } experts) FeedForward(its, experts);
            else if (its.FeedForward is { } dense) FeedForward(its, dense, layer);
            if (depths[chunks.Length - 1] == layer + 1 && layer + 1 < weights.Layers.Count) chunks = GoOnWith(chunks, depths, layer + 1);
        }
        buffers.Rows = rows;
        damage.Narrow(rows);
    }

    /// <summary>Leaves out the chunks that do not go through the layer. Their rows are the last ones.</summary>
    ReadOnlySpan<AttentionChunk> GoOnWith(ReadOnlySpan<AttentionChunk> chunks, ReadOnlySpan<int> depths, int layer)
    {
        var (count, rows) = (0, 0);
        for (; count < chunks.Length && depths[count] > layer; count++) rows += chunks[count].Rows;
        buffers.Rows = rows;
        damage.Narrow(rows);
        adapters?.Rows.Gather(rows);
        if (count > 0) attention.Begin(chunks[..count]);
        return chunks[..count];
    }

    /// <summary>h[S, D] = norm(h[S, D]) of the rows that have been copied to the buffer's head rows.</summary>
    public Span<float> FinalNorm(int rows)
    {
        var h = buffers.HeadRows(rows);
        RmsNorm.Apply(threads, h, weights.OutputNorm, config.RmsEpsilon, h);
        return h;
    }

    /// <summary>
    /// logits[S, V] = norm(h[S, D]) . head^T, of the rows that have been copied to the buffer's head rows, for the ids that are the rank's. Rows of an
    /// adapter that brings a head go through that.
    /// </summary>
    public void Head(HeadLayout layout)
    {
        var h = FinalNorm(layout.Count);
        for (var i = 0; i < layout.Groups.Count; i++)
        {
            var group = layout.Groups[i];
            var logits = buffers.Logits(group.FirstLogit, group.Logits);
            buffers.Inputs.Set(threads, h.Slice(group.FirstSlot * config.HiddenSize, group.Count * config.HiddenSize), group.Count, config.HiddenSize);
            var (matrix, first) = group.Owner?.OwnHead is { } own ? (own, 0) : (weights.Head!.Matrix, weights.Head.First);
            MatMul.Multiply(threads, matrix, first, group.Own.Count, buffers.Inputs, logits, adapters?.OfHead(layout.AdaptersOf(group), buffers.Inputs, first));
        }
    }

    void Attend(AttentionWeights layer, int index)
    {
        var number = shape.FirstLayer + index;
        var slice = weights.Slice.Of(config, number);
        var (queryWidth, keyWidth) = (slice.Heads.Count * config.HeadSize, slice.KvHeads.Count * config.HeadSize);
        var x = buffers.Stream;                 // [B, D]
        var h = buffers.Normed;                 // [B, D]
        var q = buffers.Queries(queryWidth);    // [B, H, E]
        var k = buffers.Keys(keyWidth);         // [B, G, E]
        var v = buffers.Values(keyWidth);       // [B, G, E]
        var a = buffers.Attended(queryWidth);   // [B, H, E]

        RmsNorm.Apply(threads, x, layer.Norm, config.RmsEpsilon, h);
        buffers.Inputs.Set(threads, h, buffers.Rows, config.HiddenSize);
        MatMul.Multiply(threads, buffers.Inputs, layer.Query, q, layer.Key, k, layer.Value, v, adapters?.OfAttention(index, buffers.Inputs));
        if (layer.Biases is { } biases) AddBiases(biases, slice, q, k, v);
        if (config.HasRope(number)) Rotate(q, k, slice);
        if (config.ScalesQueries(number)) PickedRows.Scale(threads, q, _queryScales.AsSpan(0, buffers.Rows));

        var stored = attention.Store(threads, index, k, v);
        attention.Attend(threads, index, q, a, inWindow: config.ReachOf(number) is not null);   // a = softmax(q . k / sqrt(E)) . v
        if (!stored) damage.Spoil(index, x, k, v, a);
        AddToStream(layer.Output, a, queryWidth, index, isAttention: true);
        if (layer.Biases is { Output: { } bias }) Bias.Add(threads, x, bias);
    }

    /// <summary>What a matrix in attention's place adds. A rank meets some of its columns with those of the normed stream.</summary>
    void Multiply(LinearWeights layer, int index)
    {
        var own = weights.Slice.Of(config, shape.FirstLayer + index).Linear;
        var h = buffers.Normed;                 // [B, D]
        var a = buffers.Attended(own.Count);    // [B, the rank's own of D]
        RmsNorm.Apply(threads, buffers.Stream, layer.Norm, config.RmsEpsilon, h);
        for (var row = 0; row < buffers.Rows; row++) h.Slice((row * config.HiddenSize) + own.First, own.Count).CopyTo(a[(row * own.Count)..]);
        AddToStream(layer.Output, a, own.Count, index, isAttention: true);
    }

    /// <summary>Every rank has the biases whole, and adds those of its own heads.</summary>
    void AddBiases(BiasWeights biases, LayerSlice slice, Span<float> q, Span<float> k, Span<float> v)
    {
        if (biases.Query is null) return;
        Bias.Add(threads, q, OfHeads(biases.Query, slice.Heads));
        Bias.Add(threads, k, OfHeads(biases.Key!, slice.KvHeads));
        Bias.Add(threads, v, OfHeads(biases.Value!, slice.KvHeads));
    }

    ReadOnlySpan<float> OfHeads(float[] bias, IndexRange heads) => bias.AsSpan(heads.First * config.HeadSize, heads.Count * config.HeadSize);

    void Rotate(Span<float> q, Span<float> k, LayerSlice slice)
    {
        Rope.Rotate(threads, q, slice.Heads.Count, config.HeadSize, buffers.Cosines, buffers.Sines);
        Rope.Rotate(threads, k, slice.KvHeads.Count, config.HeadSize, buffers.Cosines, buffers.Sines);
        if (!config.NormsHeads) return;
        RmsNorm.Apply(threads, q, _headNorm, config.RmsEpsilon, q);
        RmsNorm.Apply(threads, k, _headNorm, config.RmsEpsilon, k);
    }

    void FeedForward(LayerWeights layer, FeedForwardWeights dense, int index)
    {
        var x = buffers.Stream;     // [B, D]
        var h = buffers.Normed;     // [B, D]
        var width = weights.Slice.Of(config, shape.FirstLayer + index).Ffn.Count;
        var gate = buffers.Gate(buffers.Rows, width);   // [B, F]
        var up = buffers.Up(buffers.Rows, width);       // [B, F]

        RmsNorm.Apply(threads, x, layer.FfnNorm, config.RmsEpsilon, h);
        buffers.Inputs.Set(threads, h, buffers.Rows, config.HiddenSize);
        MatMul.Multiply(threads, buffers.Inputs, dense.Gate, gate, dense.Up, up, adapters?.OfFeedForward(index, buffers.Inputs));
        SwiGlu.Apply(threads, gate, up);                        // gate = silu(gate) * up
        AddToStream(dense.Down, gate, width, index, isAttention: false);
    }

    void FeedForward(LayerWeights layer, ExpertWeights experts)
    {
        var h = buffers.Normed;     // [B, D]
        RmsNorm.Apply(threads, buffers.Stream, layer.FfnNorm, config.RmsEpsilon, h);
        AddToStream(_experts!.Run(experts, h));
    }

    /// <summary>x[B, D] += the sum over all ranks of y[B, D].</summary>
    void AddToStream(Span<float> y)
    {
        if (exchange.RankCount == 1)
        {
            Residual.Add(threads, buffers.Stream, y);
            return;
        }
        var parts = new SumParts(config.HiddenSize, buffers.Rows, exchange.RankCount);
        for (var i = 0; i < parts.Count; i++)
        {
            var columns = parts[i];
            var part = buffers.Part(columns);
            for (var row = 0; row < buffers.Rows; row++)
                y.Slice((row * config.HiddenSize) + columns.First, columns.Count).CopyTo(part[(row * columns.Count)..]);
            exchange.BeginSum(part);
        }
        CompleteSums(parts);
    }

    /// <summary>x[B, D] += the sum over all ranks of a[B, C] . w[D, C]^T. While a part of the columns of D travels, the next is computed.</summary>
    /// <param name="columns">C</param>
    /// <param name="index">The layer, and <paramref name="isAttention"/> which of its two matrices, for adapters.</param>
    void AddToStream(ColumnSlice w, ReadOnlySpan<float> a, int columns, int index, bool isAttention)
    {
        var parts = new SumParts(config.HiddenSize, buffers.Rows, exchange.RankCount);
        buffers.Inputs.Set(threads, a, buffers.Rows, w.Matrix.Columns, w.Before, columns);
        if (w.SharesBlocks) _sharedBlocks.Scale(w, a, columns, buffers.Inputs);
        var added = adapters?.OfStream(index, isAttention, buffers.Inputs);
        for (var i = 0; i < parts.Count; i++)
        {
            var part = parts[i];
            var y = buffers.Part(part);
            MatMul.Multiply(threads, w.Matrix, part.First, part.Count, buffers.Inputs, y, added);
            exchange.BeginSum(y);
        }
        CompleteSums(parts);
    }

    void CompleteSums(SumParts parts)
    {
        for (var i = 0; i < parts.Count; i++)
        {
            var part = parts[i];
            var y = buffers.Part(part);
            exchange.CompleteSum(y);
            Residual.Add(threads, buffers.Stream, config.HiddenSize, part.First, part.Count, y);
        }
    }

    void SetQueryScales(QueryScale scale, ReadOnlySpan<AttentionChunk> chunks)
    {
        foreach (var chunk in chunks)
            for (var i = 0; i < chunk.Rows; i++) _queryScales[chunk.FirstRow + i] = scale.At(chunk.Start + i);
    }

    void SetAngles(ReadOnlySpan<AttentionChunk> chunks)
    {
        var width = config.RopeDimensionCount;
        foreach (var chunk in chunks)
        {
            for (var i = 0; i < chunk.Rows; i++)
            {
                var row = (chunk.FirstRow + i) * width;
                Rope.Angles(chunk.Start + i, _frequencies, buffers.Cosines.Slice(row, width), buffers.Sines.Slice(row, width), _magnitude);
            }
        }
    }
}
