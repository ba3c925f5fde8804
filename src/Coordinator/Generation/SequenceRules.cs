using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Generation;

/// <summary>
/// What a sequence must be for the workers to take it. The API checks its fields before, and says what is wrong in its own words. A worker
/// takes a sequence that breaks a rule for a bug and ends the view, so no such sequence may reach a worker.
/// </summary>
/// <param name="vocabularySize">V: ids are below it.</param>
/// <param name="maxLength">The most tokens of one sequence, prompt and answer.</param>
public sealed class SequenceRules(int vocabularySize, int maxLength)
{
    /// <summary>So many entries take less than half of what a message to a worker may have.</summary>
    const int MostBiases = 131_072;

    const int LongestId = 128;

    /// <summary>Characters of a session's name.</summary>
    public const int LongestSessionKey = 128;

    /// <summary>V: ids are below it.</summary>
    public int VocabularySize => vocabularySize;

    /// <summary>The most tokens of one sequence, prompt and answer.</summary>
    public int MaxLength => maxLength;

    /// <summary>The first rule that is broken, in one line; null if none is.</summary>
    public string? FirstProblem(SequenceRequest request) => FirstProblem([request]);

    /// <summary>The same for several requests. A prompt that follows itself is looked at once.</summary>
    public string? FirstProblem(IReadOnlyList<SequenceRequest> requests)
    {
        IReadOnlyList<int>? known = null;
        foreach (var request in requests)
        {
            var problem = ProblemOfLimits(request)
                ?? (request.Prompt == known ? null : ProblemOfPrompt(request.Prompt, VocabularyOf(request)))
                ?? ProblemOfPast(request);
            if (problem is not null) return problem;
            known = request.Prompt;
        }
        return null;
    }

    /// <summary>The request with no more tokens than the context has room for, if nobody asked for so many.</summary>
    public SequenceRequest Fit(SequenceRequest request) => request.MaxTokensIsDefault && request.MaxTokens > maxLength - request.Prompt.Count
        ? request with { MaxTokens = maxLength - request.Prompt.Count }
        : request;

    string? ProblemOfLimits(SequenceRequest request)
    {
        if (request.Prompt.Count == 0) return "the prompt has no tokens";
        if (request.MaxTokens < 0) return $"the most tokens to generate are {request.MaxTokens}, below 0";
        if (request.Sampling.Pooling != Pooling.None && request.MaxTokens > 0)
            return $"{request.MaxTokens} tokens are to be generated for a text that is embedded";
        var tokens = request.MaxTokensIsDefault ? Math.Min(1, request.MaxTokens) : request.MaxTokens;
        if ((long)request.Prompt.Count + tokens > maxLength)
            return $"{request.Prompt.Count} prompt tokens and {tokens} to generate are more than the context of {maxLength}";
        if (request.Sampling.LogitBias.Count > MostBiases)
            return $"logit_bias has {request.Sampling.LogitBias.Count} entries; at most {MostBiases} are possible";
        if (!IsPlain(request.RequestId)) return $"the request id must have at most {LongestId} visible ASCII characters";
        if (!IsPlain(request.TraceParent)) return $"the trace parent must have at most {LongestId} visible ASCII characters";
        if (request.SessionKey is { Length: > LongestSessionKey }) return $"the session's name must have at most {LongestSessionKey} characters";
        return SamplingRanges.FirstProblem(request.Sampling, VocabularyOf(request));
    }

    int VocabularyOf(SequenceRequest request) => request.Adapter?.OwnVocabulary ?? vocabularySize;

    static string? ProblemOfPrompt(IReadOnlyList<int> prompt, int vocabulary)
    {
        foreach (var id in prompt)
            if ((uint)id >= (uint)vocabulary) return $"the prompt has token id {id}, not 0 to {vocabulary - 1}";
        return null;
    }

    string? ProblemOfPast(SequenceRequest request)
    {
        if (request.SoFar is not { } past) return null;
        if (past.Generated.Count >= Math.Max(1, request.MaxTokens))
            return $"{past.Generated.Count} tokens were generated before, and {request.MaxTokens} are wanted";
        if (past.Generated.Any(request.StopIds.Contains)) return "a token that was generated before ends the sequence";
        return past.PromptDelivered < 0 || past.PromptDelivered > request.Prompt.Count
            ? $"{past.PromptDelivered} tokens of the prompt were delivered before"
            : ProblemOfPrompt(past.Generated, VocabularyOf(request));
    }

    static bool IsPlain(string text) => text.Length <= LongestId && text.All(letter => letter is > ' ' and <= '~');
}
