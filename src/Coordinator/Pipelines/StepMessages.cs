using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>
/// A step as its stages are told of it, all ranks of a stage alike. All learn which positions and blocks; token ids go to the first stage, which embeds them, and to
/// the last, which samples; how to sample, to the last only.
/// </summary>
static class StepMessages
{
    /// <returns>One message per stage; the stages in the middle share theirs.</returns>
    public static StepRequest[] Of(ScheduledStep step, ulong viewVersion, ulong stepId, int stages)
    {
        StepRequest Make(bool tokens, bool sampling)
        {
            var plan = new StepPlan { ViewVersion = viewVersion, StepId = stepId };
            foreach (var (source, target) in step.Copies) plan.Copies.Add(new BlockCopy { Source = source, Target = target });
            foreach (var chunk in step.Chunks)
            {
                if (chunk.Introduces) plan.NewSequences.Add(FactsOf(chunk, sampling));
                plan.Chunks.Add(ChunkOf(chunk, tokens));
            }
            return new StepRequest { Step = plan };
        }

        var last = Make(tokens: true, sampling: true);
        if (stages == 1) return [last];
        var first = Make(tokens: true, sampling: false);
        var middle = stages > 2 ? Make(tokens: false, sampling: false) : null;
        return [first, .. Enumerable.Repeat(middle!, stages - 2), last];
    }

    static SequenceFacts FactsOf(ScheduledChunk chunk, bool sampling)
    {
        var sequence = chunk.Sequence;
        var facts = new SequenceFacts { SequenceId = sequence.Id, PromptLength = (uint)sequence.PromptLength };
        if (!sampling) return facts;
        facts.Sampling = sequence.Sampling.ToMessage();
        if (sequence.Sampling.NeedsHistory) facts.History.Add(sequence.TokensOf(0, chunk.Start));
        return facts;
    }

    static SequenceChunk ChunkOf(ScheduledChunk chunk, bool tokens)
    {
        var message = new SequenceChunk
        {
            SequenceId = chunk.Sequence.Id,
            Start = chunk.Start,
            Count = chunk.Count,
            NewBlocks = { chunk.NewBlocks },
            SampleCount = chunk.SampleCount,
        };
        if (tokens) message.Tokens.Add(chunk.Sequence.TokensOf(chunk.Start, chunk.Count));
        return message;
    }
}
