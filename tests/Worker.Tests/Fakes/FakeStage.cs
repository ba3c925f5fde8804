using LlamaCluster.Model.Config;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>See <see cref="FakeModel"/>.</summary>
sealed class FakeStage(FakeModel model, LlamaConfig config, StageShape shape, StageOptions options, IRankExchange? exchange) : IStage, IKvBlocks
{
    readonly float[] _rows = new float[options.MaxStepRows * config.HiddenSize];
    int _count;

    public StageShape Shape => shape;

    public int BlockBytes => (int)FakeShardModel.BlockBytes;

    public ReadOnlySpan<float> Output => _rows.AsSpan(0, _count * config.HiddenSize);

    public Span<float> Input(int rows) => _rows.AsSpan(0, rows * config.HiddenSize);

    public StepOutcome Run(Step step)
    {
        if (model.OnRun(step) is { } outcome) return outcome;
        _count = step.Chunks.Sum(chunk => chunk.Count);
        if (shape.Embeds)
        {
            var row = 0;
            foreach (var chunk in step.Chunks)
            {
                if (chunk.Tokens.Length != chunk.Count)
                    return new StepOutcome.Refused($"sequence {chunk.SequenceId} brings {chunk.Tokens.Length} tokens for {chunk.Count} positions");
                foreach (var token in chunk.Tokens.Span) Input(_count).Slice(row++ * config.HiddenSize, config.HiddenSize).Fill(token);
            }
        }
        AddLayers(Input(_count));
        return new StepOutcome.Completed(shape.HasHead ? [.. Sample(step)] : []);
    }

    /// <summary>Every byte of a block is one more than the block's number, until another is put there.</summary>
    public bool TryCopyOut(int block, Span<byte> destination)
    {
        if (block >= options.KvBlockCount) return false;
        if (model.Blocks.TryGetValue(block, out var bytes)) bytes.CopyTo(destination);
        else destination.Fill((byte)(block + 1));
        return true;
    }

    public bool TryCopyIn(int block, ReadOnlySpan<byte> source)
    {
        if (block >= options.KvBlockCount) return false;
        model.Blocks[block] = source.ToArray();
        return true;
    }

    public void End(ulong sequenceId) => model.OnEnd(sequenceId);

    public void Dispose() => model.StageGone();

    /// <summary>Each layer adds 1. Where ranks share them, each has a part of that; the first one has what is left.</summary>
    void AddLayers(Span<float> rows)
    {
        var others = exchange is null ? 0 : exchange.RankCount - 1;
        var part = new float[rows.Length];
        Array.Fill(part, exchange is null or { Rank: 0 } ? shape.LayerCount - others : 1);
        exchange?.BeginSum(part);
        exchange?.CompleteSum(part);
        for (var i = 0; i < rows.Length; i++) rows[i] += part[i];
    }

    List<SequenceSamples> Sample(Step step)
    {
        var (samples, row) = (new List<SequenceSamples>(), 0);
        foreach (var chunk in step.Chunks)
        {
            row += chunk.Count;
            if (chunk.SampleCount == 0) continue;
            samples.Add(new SequenceSamples(chunk.SequenceId, [new SampledToken((int)_rows[(row - 1) * config.HiddenSize], -0.5f, [])], []));
        }
        return samples;
    }
}
