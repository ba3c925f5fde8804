using System.Buffers;
using Google.Protobuf;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Protos;
using LlamaCluster.Text;
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

    /// <summary>Bytes and tokens of one part of a vocabulary: far below a message's budget.</summary>
    const int VocabularyPartBytes = 1 << 20;

    const int VocabularyPartTokens = 1 << 18;

    /// <summary>What the ranks of the last stage must have before the step: the tokens that the sampling of its new sequences looks back on.</summary>
    public static IEnumerable<StepRequest> HistoriesOf(ScheduledStep step, ulong viewVersion) =>
        from chunk in step.Chunks
        where chunk.Introduces && chunk.Start > 0 && LooksBack(chunk)
        from part in chunk.Run.Tokens.Take(chunk.Start).Chunk(HistoryPartTokens)
        select new StepRequest { History = new HistoryPart { ViewVersion = viewVersion, SequenceId = chunk.Run.Id, Tokens = { part } } };

    static bool LooksBack(ScheduledChunk chunk) =>
        chunk.Run.Sampling.NeedsHistory || (chunk.Run.Sequence.Request.Grammar is not null && chunk.Start > chunk.Run.Sequence.PromptLength);

    /// <summary>The grammars of the step's new sequences, which the ranks of the last stage must have before the step.</summary>
    public static IEnumerable<StepRequest> GrammarsOf(ScheduledStep step, ulong viewVersion) =>
        from chunk in step.Chunks
        where chunk.Introduces && chunk.Run.Sequence.Request.Grammar is not null
        let grammar = chunk.Run.Sequence.Request.Grammar
        select new StepRequest { Grammar = new SequenceGrammar { ViewVersion = viewVersion, SequenceId = chunk.Run.Id, Kind = (uint)grammar.Kind, Text = grammar.Text } };

    /// <summary>What the ranks of the last stage must have before the view's first grammar.</summary>
    public static IEnumerable<StepRequest> VocabularyOf(ITokenizer tokenizer, ulong viewVersion)
    {
        var texts = new ArrayBufferWriter<byte>(VocabularyPartBytes);
        var part = new VocabularyPart { ViewVersion = viewVersion };
        for (var id = 0; id < tokenizer.VocabularySize; id++)
        {
            var text = tokenizer.IsControl(id) ? default : tokenizer.BytesOf(id);
            if (text.Length > VocabularyPartBytes) text = default;   // no grammar can use it
            if (texts.WrittenCount + text.Length > VocabularyPartBytes || part.Lengths.Count == VocabularyPartTokens)
            {
                part.Texts = ByteString.CopyFrom(texts.WrittenSpan);
                yield return new StepRequest { Vocabulary = part };
                texts.ResetWrittenCount();
                part = new VocabularyPart { ViewVersion = viewVersion };
            }
            texts.Write(text.Span);
            part.Lengths.Add((uint)text.Length);
        }
        part.Texts = ByteString.CopyFrom(texts.WrittenSpan);
        part.EndIds.Add(tokenizer.StopIds);
        part.Last = true;
        yield return new StepRequest { Vocabulary = part };
    }

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
