using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Execution;

/// <summary>
/// Steps as the stage takes them. Checked here is what decides how much is allocated and what the stage cannot know; what it knows
/// (its sequences, its blocks, the vocabulary) it checks itself.
/// </summary>
static class StepMapping
{
    /// <param name="maxRows">The most positions that a step may bring in this view.</param>
    /// <param name="histories">What has come for the step's new sequences.</param>
    /// <exception cref="InvalidMessageException">One line: which field of which sequence, and what is wrong with it.</exception>
    public static StageWork.RunStep ToWork(this Wire.StepPlan plan, int maxRows, HistoryParts histories)
    {
        Field.Count("chunks", plan.Chunks.Count, 1, maxRows);
        Field.Count("new_sequences", plan.NewSequences.Count, 0, maxRows);
        long rows = 0;
        foreach (var chunk in plan.Chunks)
            rows += Field.Count($"count of sequence {chunk.SequenceId}", chunk.Count, 1, maxRows);
        Field.Count("copies", plan.Copies.Count, 0, maxRows);
        var step = new Step([.. plan.NewSequences.Select(facts => ToStart(facts, histories))], [.. plan.Chunks.Select(ToChunk)])
        {
            Copies = [.. plan.Copies.Select(copy => new BlockCopy(copy.Source, copy.Target))],
        };
        return new StageWork.RunStep(plan.StepId, step, Field.Count("positions of all chunks", rows, 1, maxRows));
    }

    static Chunk ToChunk(Wire.SequenceChunk chunk) => new(
        chunk.SequenceId, chunk.Start, chunk.Count, chunk.Tokens.ToArray(), chunk.NewBlocks.ToArray(), chunk.SampleCount, chunk.TokenMask.Memory);

    static SequenceStart ToStart(Wire.SequenceFacts facts, HistoryParts histories)
    {
        var field = $"of sequence {facts.SequenceId}";
        if (facts.LoraId != 0) throw new InvalidMessageException($"lora_id {field} is {facts.LoraId}; this worker has no adapters");
        return new SequenceStart(
            facts.SequenceId,
            facts.Sampling is null ? new SamplingOptions() : SamplingMapping.ToOptions(facts.Sampling, field),
            Field.Count($"prompt_length {field}", facts.PromptLength, 0, int.MaxValue),
            histories.Take(facts.SequenceId));
    }
}
