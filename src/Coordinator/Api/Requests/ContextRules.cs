using System.Text;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>
/// The most tokens that prompt and answer may have together, now: what the model is served with, or what the cluster's KV cache has room for.
/// </summary>
/// <param name="Why">What sets the limit and how to raise it, as a sentence for errors.</param>
sealed record ContextLimit(int Tokens, string Why)
{
    public static ContextLimit Of(ServedModel model, EngineStatus status)
    {
        if (status.MaxPositions is { } room && room < model.ContextLength)
        {
            return new(
                room,
                $"The cluster's KV cache has room for no more; the model is served with a context of {model.ContextLength}. "
                + "More workers or more memory raise it.");
        }
        return model.LongestContext > model.ContextLength
            ? new(model.ContextLength, $"The server was started with it; the model itself takes up to {model.LongestContext} (--context).")
            : new(model.ContextLength, "For a longer one serve another model (--model).");
    }

    /// <summary>"This model's maximum context length is 512 tokens", in OpenAI's words, which clients look for.</summary>
    public override string ToString() => $"This model's maximum context length is {Tokens} tokens";
}

/// <summary>Prompt and answer must fit the context together.</summary>
/// <param name="answers">Whether there is an answer; else the prompt may have the whole context.</param>
/// <param name="strict">An answer length that does not fit is refused; else it is lowered.</param>
sealed class ContextRules(ServedModel model, ContextLimit limit, bool strict, bool answers = true)
{
    readonly int _most = answers ? limit.Tokens - 1 : limit.Tokens;   // of a prompt
    readonly string _noRoom = answers ? ", which leaves no room for an answer" : "";

    /// <summary>
    /// Refuses a text that cannot fit, whatever tokens it becomes, without encoding it. White space is not counted, because some tokens
    /// take in all of it that stands beside them.
    /// </summary>
    public ApiError? CheckText(string text, string field)
    {
        var most = (long)_most * model.LongestToken;
        if (Encoding.UTF8.GetByteCount(text) <= most) return null;
        var bytes = Encoding.UTF8.GetByteCount(text) - text.Where(char.IsWhiteSpace).Sum(space => Encoding.UTF8.GetByteCount([space]));
        if (bytes <= most) return null;
        var least = (bytes + model.LongestToken - 1) / model.LongestToken;
        return ApiError.ContextExceeded(field,
            $"{limit}, but the prompt has {bytes} bytes besides white space. They are {least} tokens or more, as no token has more than "
            + $"{model.LongestToken} bytes{_noRoom}. {WhatToDo}");
    }

    public ApiError? Check(IReadOnlyList<int> prompt, GenerationSettings settings, string field)
    {
        var context = limit.Tokens;
        if (prompt.Count == 0)
            return ApiError.Invalid(field, $"'{field}' is empty: the model needs at least one token to continue.");
        if (prompt.Count > _most)
            return ApiError.ContextExceeded(field, $"{limit}, but the prompt has {prompt.Count}{_noRoom}. {WhatToDo}");
        if (strict && settings.MaxTokens is { } asked && (long)prompt.Count + asked > context)
            return ApiError.ContextExceeded(field,
                $"{limit}, but {(long)prompt.Count + asked} were asked for: {prompt.Count} in the prompt "
                + $"and {asked} for the answer ('{settings.MaxTokensField}'). Shorten the prompt or lower '{settings.MaxTokensField}' "
                + $"to at most {context - prompt.Count}. {limit.Why}");
        return null;
    }

    string WhatToDo => $"Shorten the prompt. {limit.Why}";
}
