using Google.Protobuf.Collections;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>A result as the scheduler takes it, checked against the step that it answers.</summary>
static class StepResultMapping
{
    /// <returns>One per chunk of the step, in order.</returns>
    /// <exception cref="InvalidMessageException">It does not answer this step.</exception>
    public static IReadOnlyList<ChunkResult> ToResults(this Wire.StepResult message, ScheduledStep step, int vocabularySize)
    {
        var results = new ChunkResult[step.Chunks.Count];
        var next = 0;
        for (var i = 0; i < results.Length; i++)
        {
            var chunk = step.Chunks[i];
            var answered = next < message.Sequences.Count && message.Sequences[next].SequenceId == chunk.Sequence.Id;
            if (!answered && chunk.SampleCount > 0) throw new InvalidMessageException($"step {message.StepId}: no result for sequence {chunk.Sequence.Id}");
            results[i] = answered ? Read(message.Sequences[next++], chunk, vocabularySize) : ChunkResult.Empty;
        }
        return next == message.Sequences.Count
            ? results
            : throw new InvalidMessageException($"step {message.StepId}: a result for sequence {message.Sequences[next].SequenceId}, which was not asked for");
    }

    static ChunkResult Read(Wire.SequenceResult message, ScheduledChunk chunk, int vocabularySize)
    {
        var (least, most, prompt) = (Math.Min(1, chunk.SampleCount), chunk.SampleCount, chunk.Sequence.Sampling.PromptLogprobs ? chunk.Count : 0);
        if (message.Tokens.Count < least || message.Tokens.Count > most || message.Prompt.Count > prompt)
            throw new InvalidMessageException($"sequence {message.SequenceId}: {message.Tokens.Count} tokens, not {least} to {most}, or {message.Prompt.Count} of its prompt, more than {prompt}");
        for (var i = 0; i < message.Tokens.Count - 1; i++)
            if (message.Tokens[i].Id != chunk.Drafts[i])
                throw new InvalidMessageException($"sequence {message.SequenceId} goes on after token {message.Tokens[i].Id}, which is not the draft {chunk.Drafts[i]}");
        return new ChunkResult(Read(message.Tokens, vocabularySize), Read(message.Prompt, vocabularySize));
    }

    static SampledToken[] Read(RepeatedField<Wire.SampledToken> messages, int vocabularySize)
    {
        if (messages.Count == 0) return [];
        var tokens = new SampledToken[messages.Count];
        for (var i = 0; i < tokens.Length; i++) tokens[i] = Read(messages[i], vocabularySize);
        return tokens;
    }

    static SampledToken Read(Wire.SampledToken token, int vocabularySize)
    {
        Field.Count("a sampled id", token.Id, 0, vocabularySize - 1);
        if (token.TopIds.Count != token.TopLogprobs.Count)
            throw new InvalidMessageException($"{token.TopIds.Count} top_ids with {token.TopLogprobs.Count} top_logprobs");
        if (token.TopIds.Count == 0) return new SampledToken(token.Id, token.Logprob, []);
        var top = new TokenLogprob[token.TopIds.Count];
        for (var i = 0; i < top.Length; i++)
            top[i] = new TokenLogprob(Field.Count("a top id", token.TopIds[i], 0, vocabularySize - 1), token.TopLogprobs[i]);
        return new SampledToken(token.Id, token.Logprob, top);
    }
}
