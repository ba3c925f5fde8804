using Google.Protobuf.Collections;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>Turns the answer to a step into results for the scheduler, and checks that it answers that step.</summary>
static class StepResultMapping
{
    /// <summary>Characters of a worker's reason that are passed on.</summary>
    const int LongestReason = 500;

    /// <returns>One per chunk of the step, in order.</returns>
    /// <exception cref="InvalidMessageException">It does not answer this step.</exception>
    public static IReadOnlyList<ChunkResult> ToResults(this Wire.StepResult message, ScheduledStep step, int vocabularySize)
    {
        var results = new ChunkResult[step.Chunks.Count];
        var (next, nextFailed) = (0, 0);
        for (var i = 0; i < results.Length; i++)
        {
            var chunk = step.Chunks[i];
            var id = chunk.Run.Id;
            if (nextFailed < message.Failed.Count && message.Failed[nextFailed].SequenceId == id)
            {
                var failed = message.Failed[nextFailed++];
                results[i] = ChunkResult.Failed(OneLine(failed.Message), failed.Sound);
            }
            else if (next < message.Sequences.Count && message.Sequences[next].SequenceId == id)
                results[i] = Read(message.Sequences[next++], chunk, chunk.Run.Sequence.Request.Adapter?.OwnVocabulary ?? vocabularySize);
            else if (chunk.SampleCount == 0 && !EndsEmbedding(chunk))
                results[i] = ChunkResult.Empty;
            else
                throw new InvalidMessageException($"step {message.StepId}: no result for sequence {id}");
        }
        if (next < message.Sequences.Count)
            throw new InvalidMessageException($"step {message.StepId}: a result for sequence {message.Sequences[next].SequenceId}, which was not asked for");
        if (nextFailed < message.Failed.Count)
            throw new InvalidMessageException($"step {message.StepId}: sequence {message.Failed[nextFailed].SequenceId} failed, which is not in the step");
        return results;
    }

    static string OneLine(string text) => text.Length == 0 ? "no reason was given" : text[..Math.Min(text.Length, LongestReason)].ReplaceLineEndings(" ");

    static ChunkResult Read(Wire.SequenceResult message, ScheduledChunk chunk, int vocabularySize)
    {
        var (least, most, prompt) = (Math.Min(1, chunk.SampleCount), chunk.SampleCount, chunk.Run.Sampling.PromptLogprobs ? chunk.Count : 0);
        if (message.Tokens.Count < least || message.Tokens.Count > most || message.Prompt.Count > prompt)
            throw new InvalidMessageException(
                $"sequence {message.SequenceId}: {message.Tokens.Count} tokens, not {least} to {most}, "
                + $"or {message.Prompt.Count} of its prompt, more than {prompt}");
        for (var i = 0; i < message.Tokens.Count - 1; i++)
            if (message.Tokens[i].Id != chunk.Drafts[i])
                throw new InvalidMessageException(
                    $"sequence {message.SequenceId} goes on after token {message.Tokens[i].Id}, which is not the draft {chunk.Drafts[i]}");
        if (message.Embedding.Count > 0 != EndsEmbedding(chunk))
            throw new InvalidMessageException($"sequence {message.SequenceId}: an embedding of {message.Embedding.Count} numbers");
        return new ChunkResult(Read(message.Tokens, vocabularySize), Read(message.Prompt, vocabularySize)) { Embedding = [.. message.Embedding] };
    }

    /// <summary>The chunk is the last of a text that is embedded.</summary>
    static bool EndsEmbedding(ScheduledChunk chunk)
        => chunk.Run.Sampling.Pooling != Pooling.None && chunk.Start + chunk.Count == chunk.Run.Sequence.PromptLength;

    static SampledToken[] Read(RepeatedField<Wire.SampledToken> messages, int vocabularySize)
    {
        if (messages.Count == 0) return [];
        var tokens = new SampledToken[messages.Count];
        for (var i = 0; i < tokens.Length; i++) tokens[i] = messages[i].ToToken(vocabularySize);
        return tokens;
    }
}
