using LlamaCluster.Model.Config;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// Pools the hidden states of texts that are to be embedded, on the last stage. Sums are taken in the order of positions, in double precision: chunks
/// and what else is in the step change no bit.
/// </summary>
sealed class HiddenStatePool(LlamaConfig config, StageBuffers buffers, ForwardPass forward)
{
    /// <summary>Takes in what the chunk adds.</summary>
    /// <param name="firstRow">The chunk's first row of the step.</param>
    /// <returns>[D] once the prompt is complete; else, and where the sequence has failed, null.</returns>
    public float[]? Add(Chunk chunk, int firstRow, SequenceState sequence)
    {
        if (sequence.Failure is not null) return null;
        var (first, end) = Wanted(sequence);
        first = Math.Max(first, chunk.Start);
        end = Math.Min(end, chunk.Start + chunk.Count);
        for (var position = first; position < end; position += buffers.LogitRows)
            Sum(firstRow + position - chunk.Start, Math.Min(buffers.LogitRows, end - position), sequence);
        return chunk.Start + chunk.Count >= sequence.PromptLength ? Finish(sequence) : null;
    }

    /// <summary>The positions that are pooled.</summary>
    static (int First, int End) Wanted(SequenceState sequence) => sequence.Sampling.Pooling switch
    {
        Pooling.Mean => (0, sequence.PromptLength),
        Pooling.First => (0, 1),
        _ => (sequence.PromptLength - 1, sequence.PromptLength),
    };

    void Sum(int row, int count, SequenceState sequence)
    {
        var sums = sequence.Pooled ??= new double[config.HiddenSize];
        buffers.Stream.Slice(row * config.HiddenSize, count * config.HiddenSize).CopyTo(buffers.HeadRows(count));
        var normed = forward.FinalNorm(count);
        for (var i = 0; i < normed.Length; i++) sums[i % sums.Length] += normed[i];
    }

    static float[]? Finish(SequenceState sequence)
    {
        var (first, end) = Wanted(sequence);
        var pooled = Array.ConvertAll(sequence.Pooled!, sum => (float)(sum / (end - first)));
        sequence.Pooled = null;
        if (Array.TrueForAll(pooled, float.IsFinite)) return pooled;
        sequence.Fail("its pooled hidden states are not finite");
        return null;
    }
}
