using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Sequences;

/// <summary>What can be said of the parts of a step by themselves, and of a chunk beside its sequence. Each method gives the first problem, or null.</summary>
sealed class StepRules(LlamaConfig config, StageShape shape, StageOptions options)
{
    /// <param name="givenRows">Rows of activations that came with the step; null on the stage that embeds.</param>
    public string? RowProblem(Step step, int? givenRows)
    {
        if (step.Chunks.Count == 0) return "the step has no chunks";
        long rows = 0;
        for (var i = 0; i < step.Chunks.Count; i++)
        {
            var chunk = step.Chunks[i];
            if (i > 0 && chunk.Depth > step.Chunks[i - 1].Depth) return $"sequence {chunk.SequenceId} goes through more layers than the one before it";
            if (chunk.Count < 1) return $"sequence {chunk.SequenceId} has a chunk of {chunk.Count} positions";
            rows += chunk.Count;
        }
        if (rows > options.MaxStepRows) return $"the step has {rows} rows; this stage takes {options.MaxStepRows}";
        return givenRows is null || givenRows == rows ? null : $"the step has {rows} rows, but activations of {givenRows} were given";
    }

    public string? StartProblem(SequenceStart facts)
    {
        if (facts.PromptLength < 1) return $"sequence {facts.SequenceId} has a prompt of {facts.PromptLength} tokens";
        return TokenProblem([.. facts.History], VocabularyOf(facts)) is { } problem ? $"sequence {facts.SequenceId}: history has {problem}" : null;
    }

    /// <summary>V of a sequence: its adapter's. Where that is not loaded here, the sequence fails, and what ids it has does not matter.</summary>
    public int VocabularyOf(SequenceStart facts) =>
        facts.AdapterId == 0 || options.Adapters is null
            ? config.VocabularySize
            : options.Adapters.Find(facts.AdapterId)?.VocabularySize ?? options.Adapters.MaxVocabulary;

    /// <summary>What is wrong with a sequence's facts without contradicting anything: the sequence fails, and the step is run.</summary>
    public string? FactProblem(SequenceStart facts) =>
        facts.Problem ?? (facts.Grammar is { } grammar && grammar.Vocabulary.Size > VocabularyOf(facts)
            ? $"its grammar is for a vocabulary of {grammar.Vocabulary.Size}, and it has {VocabularyOf(facts)} tokens" : null)
        ?? (shape.HasHead ? SamplingRanges.FirstProblem(facts.Sampling, VocabularyOf(facts)) : null);

    public string? ChunkProblem(Chunk chunk, SequenceState sequence) =>
        PositionProblem(chunk, sequence) ?? DepthProblem(chunk, sequence) ?? TokenProblem(chunk, sequence)
        ?? SampleProblem(chunk) ?? PoolingProblem(chunk, sequence) ?? HistoryProblem(chunk, sequence);

    string? PositionProblem(Chunk chunk, SequenceState sequence)
    {
        if (chunk.Start < sequence.EarliestStart || chunk.Start > sequence.LatestStart)
            return $"sequence {chunk.SequenceId} goes on at position {chunk.Start}; {Expected(sequence)}";
        return chunk.Start + (long)chunk.Count <= options.MaxSequenceLength
            ? null
            : $"sequence {chunk.SequenceId} would have {chunk.Start + (long)chunk.Count} positions; this stage has room for {options.MaxSequenceLength}";
    }

    /// <summary>A chunk that does not go through all layers ends with a block, or goes on as deep; and it cannot be sampled from.</summary>
    string? DepthProblem(Chunk chunk, SequenceState sequence)
    {
        if (chunk.Depth <= shape.FirstLayer) return $"sequence {chunk.SequenceId} goes through {chunk.Depth} layers, none of which is this stage's";
        if (chunk.Depth < shape.TotalLayers && chunk.SampleCount > 0)
            return $"sequence {chunk.SequenceId} goes through {chunk.Depth} layers, but is to be sampled";
        return !sequence.IsNew && chunk.Depth != sequence.Depth && chunk.Start % KvBlock.Positions != 0
            ? $"sequence {chunk.SequenceId} goes through another number of layers from position {chunk.Start} on, which is within a block"
            : null;
    }

    static string Expected(SequenceState sequence) => sequence switch
    {
        { IsNew: true } => "the first is 0",
        _ when sequence.EarliestStart == sequence.LatestStart => $"it is computed up to position {sequence.EarliestStart - 1}",
        _ => $"it must be from {sequence.EarliestStart} to {sequence.LatestStart}",
    };

    string? TokenProblem(Chunk chunk, SequenceState sequence)
    {
        var tokens = chunk.Tokens.Span;
        if (tokens.Length != chunk.Count && (shape.NeedsTokens || tokens.Length > 0))
            return $"sequence {chunk.SequenceId} has {tokens.Length} tokens for {chunk.Count} positions";
        return TokenProblem(tokens, sequence.VocabularySize) is { } problem ? $"sequence {chunk.SequenceId} has {problem}" : null;
    }

    static string? TokenProblem(ReadOnlySpan<int> tokens, int vocabularySize)
    {
        foreach (var token in tokens)
            if ((uint)token >= (uint)vocabularySize) return $"token {token}; ids are from 0 to {vocabularySize - 1}";
        return null;
    }

    /// <summary>What is embedded ends with its prompt.</summary>
    static string? PoolingProblem(Chunk chunk, SequenceState sequence)
        => sequence.Sampling.Pooling != Pooling.None && chunk.Start + chunk.Count > sequence.PromptLength
            ? $"sequence {chunk.SequenceId} is to be embedded, but goes on to position {chunk.Start + chunk.Count - 1}, "
                + $"behind its prompt of {sequence.PromptLength} tokens"
            : null;

    static string? SampleProblem(Chunk chunk) => chunk.SampleCount < 0 || chunk.SampleCount > chunk.Count
        ? $"sequence {chunk.SequenceId} is to be sampled at {chunk.SampleCount} of {chunk.Count} positions"
        : null;

    /// <summary>A sequence that does not start at its beginning must say what came before, where that matters.</summary>
    string? HistoryProblem(Chunk chunk, SequenceState sequence)
    {
        if (!shape.HasHead || !sequence.IsNew) return null;
        if (sequence.History is { } history && history.Count != chunk.Start)
            return $"sequence {chunk.SequenceId} has penalties and starts at position {chunk.Start}, but a history of {history.Count} tokens";
        if (sequence.Answer is { } answer && answer.Count != Math.Max(0, chunk.Start - sequence.PromptLength))
            return $"sequence {chunk.SequenceId} has a grammar and starts at position {chunk.Start}, "
                + $"but a history of {sequence.PromptLength + answer.Count} tokens";
        if (sequence.Sampling.PromptLogprobs && chunk.Start > 0 && chunk.Start < sequence.PromptLength)
            return $"sequence {chunk.SequenceId} wants log-probabilities of its prompt, but starts within it, at position {chunk.Start}";
        if (sequence.Sampling.Pooling != Pooling.None && chunk.Start > 0)
            return $"sequence {chunk.SequenceId} is to be embedded, but starts at position {chunk.Start}";
        return null;
    }
}
