using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Protos;
using BlockCopy = LlamaCluster.Protos.BlockCopy;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>
/// Makes the messages of a step. All ranks of a stage get the same one. Every stage learns the positions and the blocks. Token ids go to
/// the first stage, which embeds them, and to the last, which samples. Sampling options go to the last stage only.
/// </summary>
static class StepMessages
{
    /// <summary>Tokens of one part of a history: far below a message's budget.</summary>
    const int HistoryPartTokens = 1 << 18;

    /// <summary>What the ranks of the last stage must have before the step: the tokens that the sampling of its new sequences looks back on.</summary>
    public static IEnumerable<StepRequest> HistoriesOf(ScheduledStep step, ulong viewVersion) =>
        from chunk in step.Chunks
        where chunk.Introduces && chunk.Run.Sampling.NeedsHistory && chunk.Start > 0
        from part in chunk.Run.Tokens.Take(chunk.Start).Chunk(HistoryPartTokens)
        select new StepRequest { History = new HistoryPart { ViewVersion = viewVersion, SequenceId = chunk.Run.Id, Tokens = { part } } };

    /// <returns>One message per stage; the stages in the middle share theirs.</returns>
    public static StepRequest[] Of(ScheduledStep step, ulong viewVersion, ulong stepId, int stages)
    {
        StepRequest Make(IEnumerable<SequenceChunk> chunks, bool sampling)
        {
            var plan = new StepPlan { ViewVersion = viewVersion, StepId = stepId, Chunks = { chunks } };
            foreach (var (source, target) in step.Copies) plan.Copies.Add(new BlockCopy { Source = source, Target = target });
            foreach (var chunk in step.Chunks)
                if (chunk.Introduces) plan.NewSequences.Add(FactsOf(chunk, sampling));
            return new StepRequest { Step = plan };
        }

        var withTokens = ChunksOf(step, tokens: true);
        var last = Make(withTokens, sampling: true);
        if (stages == 1) return [last];
        var first = Make(withTokens, sampling: false);
        var middle = stages > 2 ? Make(ChunksOf(step, tokens: false), sampling: false) : null;
        return [first, .. Enumerable.Repeat(middle!, stages - 2), last];
    }

    static SequenceChunk[] ChunksOf(ScheduledStep step, bool tokens)
    {
        var messages = new SequenceChunk[step.Chunks.Count];
        for (var i = 0; i < messages.Length; i++) messages[i] = ChunkOf(step.Chunks[i], tokens);
        return messages;
    }

    static SequenceFacts FactsOf(ScheduledChunk chunk, bool sampling)
    {
        var sequence = chunk.Run.Sequence;
        var facts = new SequenceFacts
        {
            SequenceId = sequence.Id,
            PromptLength = (uint)sequence.PromptLength,
            RequestId = sequence.Request.RequestId,
            TraceParent = sequence.Request.TraceParent,
        };
        if (sampling) facts.Sampling = sequence.Request.Sampling.ToMessage();
        return facts;
    }

    static SequenceChunk ChunkOf(ScheduledChunk chunk, bool tokens)
    {
        var message = new SequenceChunk
        {
            SequenceId = chunk.Run.Id,
            Start = chunk.Start,
            Count = chunk.Count,
            SampleCount = chunk.SampleCount,
        };
        if (chunk.NewBlocks.Count > 0) message.NewBlocks.Add(chunk.NewBlocks);
        for (var i = 0; i < chunk.Count - chunk.Drafts.Count && tokens; i++) message.Tokens.Add(chunk.Run.Tokens[chunk.Start + i]);
        for (var i = 0; i < chunk.Drafts.Count && tokens; i++) message.Tokens.Add(chunk.Drafts[i]);
        return message;
    }
}
