using LlamaCluster.Coordinator.Api.Requests;

namespace LlamaCluster.Coordinator.Api.Prompts;

/// <summary>Prompt and answer must fit the context together.</summary>
static class ContextRules
{
    public static ApiError? Check(EncodedPrompt prompt, GenerationSettings settings, int context, string promptField)
    {
        if (prompt.Ids.Count == 0)
            return ApiError.Invalid(promptField, $"'{promptField}' is empty: the model needs at least one token to continue.");
        if (prompt.Ids.Count >= context)
            return ApiError.ContextExceeded(promptField,
                $"This model's maximum context length is {context} tokens, but the prompt has {prompt.Ids.Count}, which leaves no room for an answer. Shorten the prompt.");
        if (settings.MaxTokens is { } asked && (long)prompt.Ids.Count + asked > context)
            return ApiError.ContextExceeded(promptField,
                $"This model's maximum context length is {context} tokens, but {(long)prompt.Ids.Count + asked} were asked for: {prompt.Ids.Count} in the prompt and "
                + $"{asked} for the answer ('{settings.MaxTokensField}'). Shorten the prompt or lower '{settings.MaxTokensField}' to at most {context - prompt.Ids.Count}.");
        return null;
    }

    /// <summary>As many tokens as were asked for, or as fit.</summary>
    public static int TokensFor(EncodedPrompt prompt, GenerationSettings settings, int context) => settings.MaxTokens ?? context - prompt.Ids.Count;
}
