using LlamaCluster.Model.Config;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.Models;

namespace LlamaCluster.Worker.Loading;

/// <summary>
/// Runs a few rows that nobody asked for through a shard that is only prepared. So the code of a step is compiled and the weights are in reach before
/// a stream waits for this worker. A rank of a group cannot: each of its steps takes all ranks.
/// </summary>
static class Rehearsal
{
    const int PromptRows = 4;

    /// <exception cref="InvalidOperationException">The stage refuses its own steps: a bug.</exception>
    /// <param name="options">Of the stage that the shard would get; one block of KV is enough.</param>
    public static void Run(IShardModel weights, StageOptions options)
    {
        using var stage = weights.CreateStage(options, exchange: null);
        var knowsTokens = stage.Shape.Embeds || stage.Shape.HasHead;
        var rows = Math.Min(PromptRows, options.MaxStepRows);
        for (var (start, count) = (0, rows); start <= rows; (start, count) = (start + count, 1))
        {
            if (!stage.Shape.Embeds) stage.Input(count).Clear();
            var chunk = new Chunk(
                1, start, count, knowsTokens ? new int[count] : ReadOnlyMemory<int>.Empty, start == 0 ? new int[1] : ReadOnlyMemory<int>.Empty,
                SampleCount: 1);
            var step = new Step(start == 0 ? [new SequenceStart(1, new SamplingOptions(), rows, [])] : [], [chunk]);
            if (stage.Run(step) is StepOutcome.Refused refused) throw new InvalidOperationException($"a rehearsal was refused: {refused.Reason}");
        }
    }
}
