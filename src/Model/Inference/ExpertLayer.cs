using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Weights;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// The feed-forward of layers with experts: each expert that some row uses computes its rows together, so the weights of others are not read. A row
/// takes its experts' outputs in the order of their numbers, after the shared one's: its bits do not depend on what else is in the step.
/// A rank has the rows of the whole step, and computes what it has of their experts: some columns of each, or those that are its own. Either is its
/// part of the sum over all ranks. B rows, D hidden, N experts, F' columns of an expert that the rank has.
/// </summary>
sealed class ExpertLayer(
    LlamaConfig config, StageBuffers buffers, SharedBlocks sharedBlocks, ComputeThreads threads)
{
    readonly ExpertRouting _routing = new(config.Experts!, buffers.MaxRows);

    /// <summary>[B, D] this rank's part of what the layer adds to the stream.</summary>
    /// <param name="h">[B, D] the normed stream.</param>
    public Span<float> Run(ExpertWeights layer, ReadOnlySpan<float> h)
    {
        var rows = buffers.Rows;
        var y = buffers.Mixed;                  // [B, D]
        var logits = buffers.RouterLogits;      // [B, N]
        buffers.Inputs.Set(threads, h, rows, config.HiddenSize);
        MatMul.Multiply(threads, layer.Router, buffers.Inputs, logits);
        if (layer.Shared is { } shared) FeedForward(shared, rows, y);
        else y.Clear();

        _routing.Set(logits, rows);
        for (var own = 0; own < layer.Own.Count; own++)
        {
            var expert = layer.First + own;
            var chosen = _routing.RowsOf(expert);
            if (chosen.IsEmpty) continue;
            var picked = buffers.Picked(chosen.Length);     // [rows of the expert, D]
            PickedRows.Take(threads, h, config.HiddenSize, chosen, _routing.InputFactors(expert), picked);
            buffers.Inputs.Set(threads, picked, chosen.Length, config.HiddenSize);
            FeedForward(layer.Own[own], chosen.Length, picked);
            PickedRows.Add(threads, y, config.HiddenSize, chosen, _routing.OutputFactors(expert), picked);
        }
        return y;
    }

    /// <summary>y[rows, D] = down(silu(gate(x)) * up(x)) of the rows that are set as inputs.</summary>
    void FeedForward(FeedForwardWeights w, int rows, Span<float> y)
    {
        var width = w.Gate.Rows;
        var gate = buffers.Gate(rows, width);   // [rows, F']
        var up = buffers.Up(rows, width);       // [rows, F']
        MatMul.Multiply(threads, buffers.Inputs, w.Gate, gate, w.Up, up);
        SwiGlu.Apply(threads, gate, up);
        buffers.Inputs.Set(threads, gate, rows, w.Down.Matrix.Columns, w.Down.Before, width);
        if (w.Down.SharesBlocks) sharedBlocks.Scale(w.Down, gate, width, buffers.Inputs);
        MatMul.Multiply(threads, w.Down.Matrix, buffers.Inputs, y);
    }
}
