using System.Runtime.InteropServices;
using System.Text;
using System.Threading.RateLimiting;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>
/// Texts and conversations to token ids. Special tokens written in a text are recognised, those in a message's content too: like
/// llama.cpp and vLLM, the API treats whoever may send requests as the prompt's author. A service that puts strangers' text into messages
/// must take markers such as "&lt;|eot_id|&gt;" out of it first, or send token ids to /v1/completions.
/// <para>
/// Rendering and encoding cost processor time, so only a few requests do it at a time, on threads of their own. Others wait for their turn, up
/// to a number and a time. A rendering ends when its request is gone or its time is over.
/// </para>
/// </summary>
sealed class PromptEncoder(ServedModel model, ApiOptions options, TimeProvider time) : IDisposable
{
    readonly ConcurrencyLimiter _turns = new(new ConcurrencyLimiterOptions
    {
        PermitLimit = ApiLimits.EncodingsAtATime,
        QueueLimit = ApiLimits.EncodingsWaiting,
        QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
    });

    readonly EncodingThreads _threads = new(ApiLimits.EncodingsAtATime);

    /// <summary>All prompts of a request, each encoded once and checked to fit the context. The form of its answers is checked too, which is work of the same kind.</summary>
    /// <param name="field">The field that the prompts came in, for errors.</param>
    /// <param name="limit">The context that they must fit.</param>
    public Task<ApiOutcome<EncodedPrompt[]>> EncodeAsync(CompletionRequest request, string field, ContextLimit limit, CancellationToken cancellation)
        => InTurnAsync(() => EncodeAll(request, field, new ContextRules(model, limit, options.StrictMaxTokens), cancellation), cancellation);

    /// <summary>The ids of a text or a conversation, however many they are.</summary>
    public Task<ApiOutcome<List<int>>> TokenizeAsync(RawPrompt prompt, bool addSpecialTokens, CancellationToken cancellation)
        => InTurnAsync(() => Tokenize(prompt, addSpecialTokens, cancellation), cancellation);

    /// <summary>The ids' text, control tokens as they are written; bytes that are not UTF-8 become U+FFFD.</summary>
    public Task<ApiOutcome<string>> DetokenizeAsync(IReadOnlyList<int> ids, CancellationToken cancellation)
        => InTurnAsync<string>(() => Detokenize(ids), cancellation);

    /// <summary>The form of calls that the operator has chosen; null: the template's.</summary>
    public string? ToolParser => options.ToolParser?.ToString();

    /// <summary>Other work on a request that takes a processor for a while, such as compiling a grammar.</summary>
    public Task<ApiOutcome<T>> WorkAsync<T>(Func<ApiOutcome<T>> work, CancellationToken cancellation) where T : class => InTurnAsync(work, cancellation);

    public void Dispose()
    {
        _turns.Dispose();
        _threads.Dispose();
    }

    ApiOutcome<EncodedPrompt[]> EncodeAll(CompletionRequest request, string field, ContextRules rules, CancellationToken cancellation)
    {
        var encoded = new EncodedPrompt[request.Prompts.Count];
        foreach (var (index, prompt) in request.Prompts.Index())
        {
            cancellation.ThrowIfCancellationRequested();
            if (EncodeToFit(prompt, request, field, rules, cancellation).Failed(out var error, out encoded[index]!)) return error;
        }
        return encoded;
    }

    /// <summary>Lengths are checked as soon as they are known, before work is done on what is too long.</summary>
    ApiOutcome<EncodedPrompt> EncodeToFit(RawPrompt prompt, CompletionRequest request, string field, ContextRules rules, CancellationToken cancellation)
    {
        if (prompt is RawPrompt.Tokens tokens)
            return rules.Check(tokens.Ids, request.Settings, field) is { } wrong
                ? wrong
                : new EncodedPrompt(request.Echo ? Detokenize(tokens.Ids) : "", tokens.Ids);
        if (TextOf(prompt, cancellation).Failed(out var refused, out var text)) return refused;
        if (rules.CheckText(text, field) is { } tooLong) return tooLong;
        var ids = Tokenize(text, request.AddSpecialTokens);
        if (prompt.Before.Count > 0) ids.InsertRange(0, prompt.Before);
        return rules.Check(ids, request.Settings, field) is { } error ? error : new EncodedPrompt(text, ids);
    }

    ApiOutcome<List<int>> Tokenize(RawPrompt prompt, bool addSpecialTokens, CancellationToken cancellation)
        => TextOf(prompt, cancellation).Failed(out var error, out var text) ? error : Tokenize(text, addSpecialTokens);

    /// <summary>The ids of a text. To be called within <see cref="InTurnAsync"/>.</summary>
    public List<int> Tokenize(string text, bool addSpecialTokens)
    {
        var ids = new List<int>();
        model.Tokenizer.Encode(Encoding.UTF8.GetBytes(text), ids, addSpecialTokens, parseSpecial: true);
        return ids;
    }

    string Detokenize(IReadOnlyList<int> ids)
    {
        var bytes = new List<byte>();
        model.Tokenizer.Decode([.. ids], bytes, includeControl: true);
        return Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(bytes));
    }

    ApiOutcome<string> TextOf(RawPrompt prompt, CancellationToken cancellation) => prompt switch
    {
        RawPrompt.Text text => text.Written,
        RawPrompt.Tokens tokens => Detokenize(tokens.Ids),
        RawPrompt.Chat chat => Render(chat, cancellation),
        _ => throw new InvalidOperationException($"a prompt cannot be {prompt.GetType().Name}"),
    };

    /// <summary>The text of a conversation. To be called within <see cref="InTurnAsync"/>.</summary>
    public ApiOutcome<string> Render(RawPrompt.Chat chat, CancellationToken cancellation)
    {
        if (model.Template is null)
            return ApiError.Invalid("messages", model.TemplateProblem is { } problem
                ? $"The chat template of the model '{model.Name}' cannot be read ({problem}); use /v1/completions, or mend the template."
                : $"The model '{model.Name}' has no chat template; use /v1/completions.");
        try
        {
            var text = model.Template.Render(new ChatTemplateInput
            {
                Messages = chat.Messages,
                Tools = chat.Tools?.ToTemplate(),
                AddGenerationPrompt = chat.AddGenerationPrompt,
                BosToken = model.BosText,
                EosToken = model.EosText,
                Variables = chat.Variables,
                Now = chat.Now ?? time.GetLocalNow(),
            }, time, cancellation, options.ToolParser);
            return chat.ContinuesLast ? UpToLastWords(text, chat) : text;
        }
        catch (ChatTemplateException refusal)
        {
            return ApiError.Invalid("messages", $"The model's chat template does not take these messages: {refusal.Reason}");
        }
    }

    /// <summary>The prompt without what the template writes behind the last message, so that the answer goes on with its words.</summary>
    static ApiOutcome<string> UpToLastWords(string text, RawPrompt.Chat chat)
    {
        var words = ((string?)chat.Messages[^1]!["content"] ?? "").Trim();
        var at = text.LastIndexOf(words, StringComparison.Ordinal);
        return at < 0
            ? ApiError.Invalid("messages", "The last message cannot be continued: the model's chat template does not write its words as they are.")
            : text[..(at + words.Length)];
    }

    /// <summary>Does work on prompts when its turn comes, on a thread for that.</summary>
    public async Task<ApiOutcome<T>> InTurnAsync<T>(Func<ApiOutcome<T>> work, CancellationToken cancellation) where T : class
    {
        using var turn = await TakeTurnAsync(cancellation);
        return turn is { IsAcquired: true }
            ? await _threads.RunAsync(work)
            : ApiError.Overloaded("too many prompts wait to be encoded. Send the request again later.");
    }

    /// <returns>Null if the turn did not come in time.</returns>
    async ValueTask<RateLimitLease?> TakeTurnAsync(CancellationToken cancellation)
    {
        if (_turns.AttemptAcquire() is { IsAcquired: true } free) return free;
        using var deadline = new CancellationTokenSource(ApiLimits.EncodingWait, time);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        try
        {
            return await _turns.AcquireAsync(1, ending.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return null;
        }
    }
}
