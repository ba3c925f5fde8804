using Google.Protobuf;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;
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
    /// <param name="lastStage">The stage's first layer.</param>
    public static IEnumerable<StepRequest> HistoriesOf(ScheduledStep step, ulong viewVersion, int lastStage) =>
        from chunk in step.Chunks
        where chunk.IsNewTo(lastStage) && chunk.Start > 0 && LooksBack(chunk)
        from part in chunk.Run.Tokens.Take(chunk.Start).Chunk(HistoryPartTokens)
        select new StepRequest { History = new HistoryPart { ViewVersion = viewVersion, SequenceId = chunk.Run.Id, Tokens = { part } } };

    static bool LooksBack(ScheduledChunk chunk) =>
        chunk.Run.Sampling.NeedsHistory || (chunk.Run.Sequence.Request.Grammar is not null && chunk.Start > chunk.Run.Sequence.PromptLength);

    /// <param name="stages">The first layer of each.</param>
    /// <returns>One message per stage that the step goes through. If that is not from the first on, the stage before has one too, and it comes first.</returns>
    public static StepRequest[] Of(ScheduledStep step, ulong viewVersion, ulong stepId, IReadOnlyList<int> stages)
    {
        if (step.From > 0)
        {
            var own = stages.Index().Where(stage => stage.Item >= step.From && stage.Item < step.Depth);
            return [ReplayOf(step, viewVersion, stepId), .. own.Select(stage => OfStage(step, viewVersion, stepId, stage.Item, stage.Index, stages.Count))];
        }
        if (!step.IsForAllAlike)
        {
            var its = stages.Index().Where(stage => stage.Item < step.Depth);
            return [.. its.Select(stage => OfStage(step, viewVersion, stepId, stage.Item, stage.Index, stages.Count))];
        }

        // All stages run the same chunks: first and last share theirs, and those in the middle their whole message.
        StepRequest Make(SequenceChunk[] chunks, bool isLast) =>
            MessageOf(step, viewVersion, stepId, chunks, step.Chunks.Where(chunk => chunk.Introduces), isLast);
        var withTokens = ChunksOf(step.Chunks, 0, tokens: true);
        var last = Make(withTokens, isLast: true);
        if (stages.Count == 1) return [last];
        var first = Make(withTokens, isLast: false);
        var middle = stages.Count > 2 ? Make(ChunksOf(step.Chunks, 0, tokens: false), isLast: false) : null;
        return [first, .. Enumerable.Repeat(middle!, stages.Count - 2), last];
    }

    /// <summary>With the chunks that go through one of the stage's layers.</summary>
    static StepRequest OfStage(ScheduledStep step, ulong viewVersion, ulong stepId, int firstLayer, int stage, int stages)
    {
        ScheduledChunk[] its = [.. step.Chunks.Where(chunk => chunk.Depth > firstLayer)];
        var isLast = stage == stages - 1;
        return MessageOf(
            step, viewVersion, stepId, ChunksOf(its, firstLayer, tokens: stage == 0 || isLast), its.Where(chunk => chunk.IsNewTo(firstLayer)), isLast);
    }

    static StepRequest ReplayOf(ScheduledStep step, ulong viewVersion, ulong stepId)
    {
        var replay = new Replay { ViewVersion = viewVersion, StepId = stepId };
        foreach (var chunk in step.Chunks)
            replay.Chunks.Add(new ReplayedChunk { First = chunk.Start % KvBlock.Positions, Count = chunk.Count, Blocks = { chunk.ReplayedBlocks } });
        return new StepRequest { Replay = replay };
    }

    static StepRequest MessageOf(
        ScheduledStep step, ulong viewVersion, ulong stepId, SequenceChunk[] chunks, IEnumerable<ScheduledChunk> introducing, bool sampling)
    {
        var plan = new StepPlan { ViewVersion = viewVersion, StepId = stepId, Chunks = { chunks } };
        foreach (var (source, target) in step.Copies) plan.Copies.Add(new BlockCopy { Source = source, Target = target });
        foreach (var chunk in introducing) plan.NewSequences.Add(FactsOf(chunk, sampling));
        return new StepRequest { Step = plan };
    }

    static SequenceChunk[] ChunksOf(IReadOnlyList<ScheduledChunk> chunks, int firstLayer, bool tokens)
    {
        var messages = new SequenceChunk[chunks.Count];
        for (var i = 0; i < messages.Length; i++) messages[i] = ChunkOf(chunks[i], firstLayer, tokens);
        return messages;
    }

    static SequenceFacts FactsOf(ScheduledChunk chunk, bool sampling)
    {
        var sequence = chunk.Run.Sequence;
        var facts = new SequenceFacts
        {
            SequenceId = sequence.Id,
            PromptLength = (uint)sequence.PromptLength,
            AdapterId = sequence.Request.Adapter?.Id ?? 0,
            RequestId = sequence.Request.RequestId,
            TraceParent = sequence.Request.TraceParent,
        };
        if (sampling) facts.Sampling = sequence.Request.Sampling.ToMessage();
        return facts;
    }

    static SequenceChunk ChunkOf(ScheduledChunk chunk, int firstLayer, bool tokens)
    {
        var message = new SequenceChunk
        {
            SequenceId = chunk.Run.Id,
            Start = chunk.Start,
            Count = chunk.Count,
            SampleCount = chunk.SampleCount,
            Depth = chunk.Depth == ScheduledChunk.AllLayers ? 0 : (uint)chunk.Depth,
        };
        if (chunk.KnownDepth > 0 && chunk.IsNewTo(firstLayer)) message.NewBlocks.Add(chunk.KnownBlocks);
        if (chunk.NewBlocks.Count > 0) message.NewBlocks.Add(chunk.NewBlocks);
        for (var i = 0; i < chunk.Count - chunk.Drafts.Count && tokens; i++) message.Tokens.Add(chunk.Run.Tokens[chunk.Start + i]);
        for (var i = 0; i < chunk.Drafts.Count && tokens; i++) message.Tokens.Add(chunk.Drafts[i]);
        return message;
    }
}
