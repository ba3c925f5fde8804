using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Model.Config;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// The maths of a Llama (https://arxiv.org/abs/2302.13971), in their order, for the layers of one stage. B rows, D hidden, F ffn, H heads,
/// G kv heads, E head dim, V vocabulary, S rows that are sampled from. Facts, weights and buffers are given; nothing is allocated.
/// </summary>
sealed class ForwardPass(LlamaConfig config, ShardWeights weights, StageBuffers buffers, PagedAttention attention, ComputeThreads threads)
{
    readonly float[] _frequencies = RopeFrequencies.Of(config);

    /// <summary>x[firstRow + i, D] = row tokens[i] of the embedding.</summary>
    public void Embed(ReadOnlySpan<int> tokens, int firstRow)
    {
        for (var i = 0; i < tokens.Length; i++)
            weights.Embedding!.DecodeRow(tokens[i], buffers.Stream.Slice((firstRow + i) * config.HiddenSize, config.HiddenSize));
    }

    /// <summary>x[B, D] goes through the stage's layers; each row is a position of a sequence.</summary>
    /// <returns>Null, or the index of the layer at which keys or values were not finite.</returns>
    public int? RunLayers(ReadOnlySpan<AttentionChunk> chunks)
    {
        attention.Begin(chunks);
        SetAngles(chunks);
        for (var layer = 0; layer < weights.Layers.Count; layer++)
        {
            if (!Attend(weights.Layers[layer], layer)) return layer;
            FeedForward(weights.Layers[layer]);
        }
        return null;
    }

    /// <summary>logits[S, V] = norm(h[S, D]) . head^T, of the rows that have been copied to the buffer's head rows.</summary>
    public ReadOnlySpan<float> Head(int rows)
    {
        var h = buffers.HeadRows(rows);
        var logits = buffers.Logits(rows);
        RmsNorm.Apply(threads, h, weights.OutputNorm, config.RmsEpsilon, h);
        buffers.Inputs.Set(threads, h, rows, config.HiddenSize);
        MatMul.Multiply(threads, weights.Head!, buffers.Inputs, logits);
        return logits;
    }

    bool Attend(LayerWeights layer, int index)
    {
        var x = buffers.Stream;     // [B, D]
        var h = buffers.Normed;     // [B, D]
        var q = buffers.Queries;    // [B, H, E]
        var k = buffers.Keys;       // [B, G, E]
        var v = buffers.Values;     // [B, G, E]
        var a = buffers.Attended;   // [B, H, E]

        RmsNorm.Apply(threads, x, layer.AttentionNorm, config.RmsEpsilon, h);
        buffers.Inputs.Set(threads, h, buffers.Rows, config.HiddenSize);
        MatMul.Multiply(threads, buffers.Inputs, layer.Query, q, layer.Key, k, layer.Value, v);
        Rope.Rotate(threads, q, config.HeadCount, config.HeadSize, buffers.Cosines, buffers.Sines);
        Rope.Rotate(threads, k, config.KvHeadCount, config.HeadSize, buffers.Cosines, buffers.Sines);

        if (!attention.Store(threads, index, k, v)) return false;
        attention.Attend(threads, index, q, a);     // a = softmax(q . k / sqrt(E)) . v

        buffers.Inputs.Set(threads, a, buffers.Rows, config.HeadCount * config.HeadSize);
        MatMul.Multiply(threads, layer.AttentionOutput, buffers.Inputs, h);
        Residual.Add(threads, x, h);
        return true;
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
        SwiGlu.Apply(threads, gate, up);            // gate = silu(gate) * up
        buffers.Inputs.Set(threads, gate, buffers.Rows, config.FfnSize);
        MatMul.Multiply(threads, layer.Down, buffers.Inputs, h);
        Residual.Add(threads, x, h);
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
