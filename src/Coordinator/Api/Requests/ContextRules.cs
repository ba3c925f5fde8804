using System.Text;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>Prompt and answer must fit the context together.</summary>
sealed class ContextRules(ServedModel model)
{
    /// <summary>
    /// Refuses a text that cannot fit, whatever tokens it becomes, without encoding it. White space is not counted, because some tokens
    /// take in all of it that stands beside them.
    /// </summary>
    public ApiError? CheckText(string text, string field)
    {
        var most = (model.ContextLength - 1L) * model.LongestToken;
        if (Encoding.UTF8.GetByteCount(text) <= most) return null;
        var bytes = Encoding.UTF8.GetByteCount(text) - text.Where(char.IsWhiteSpace).Sum(space => Encoding.UTF8.GetByteCount([space]));
        if (bytes <= most) return null;
        var least = (bytes + model.LongestToken - 1) / model.LongestToken;
        return ApiError.ContextExceeded(field,
            $"This model's maximum context length is {model.ContextLength} tokens, but the prompt has {bytes} bytes besides white space. They are {least} tokens or more, "
            + $"as no token has more than {model.LongestToken} bytes, which leaves no room for an answer. Shorten the prompt.");
    }

    public ApiError? Check(IReadOnlyList<int> prompt, GenerationSettings settings, string field)
    {
        var context = model.ContextLength;
        if (prompt.Count == 0)
            return ApiError.Invalid(field, $"'{field}' is empty: the model needs at least one token to continue.");
        if (prompt.Count >= context)
            return ApiError.ContextExceeded(field,
                $"This model's maximum context length is {context} tokens, but the prompt has {prompt.Count}, which leaves no room for an answer. Shorten the prompt.");
        if (settings.MaxTokens is { } asked && (long)prompt.Count + asked > context)
            return ApiError.ContextExceeded(field,
                $"This model's maximum context length is {context} tokens, but {(long)prompt.Count + asked} were asked for: {prompt.Count} in the prompt and "
                + $"{asked} for the answer ('{settings.MaxTokensField}'). Shorten the prompt or lower '{settings.MaxTokensField}' to at most {context - prompt.Count}.");
        return null;
    }
}
