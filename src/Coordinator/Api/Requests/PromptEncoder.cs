using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading.RateLimiting;
using LlamaCluster.Cluster.Telemetry;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Text;
using LlamaCluster.Text.GoTemplates;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>
/// Texts and conversations to token ids. Special tokens written in a text are recognised: whoever sends a text to /v1/completions is the prompt's author. In
/// a conversation the chat template is, and markers such as "&lt;|eot_id|&gt;" that stand in a message's content, a function's description or its result are
/// words like others (<see cref="ContentMarks"/>), unless the operator has them read (<see cref="ApiOptions.ParseSpecialInContent"/>).
/// <para>
/// Rendering and encoding cost processor time, so only a few requests do it at a time, on threads of their own. Others wait for their turn, up
/// to a number and a time. A rendering ends when its request is gone or its time is over.
/// </para>
/// </summary>
sealed class PromptEncoder(ServedModel model, ApiOptions options, CoordinatorMetrics metrics, TimeProvider time) : IDisposable
{
    /// <summary>Characters that are nobody's: https://www.unicode.org/faq/private_use.html.</summary>
    const string EndMark = "\uF8FE\uF8FF\uF8FE";

    readonly ConcurrencyLimiter _turns = new(new ConcurrencyLimiterOptions
    {
        PermitLimit = ApiLimits.EncodingsAtATime,
        QueueLimit = ApiLimits.EncodingsWaiting,
        QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
    });

    /// <summary>Of the model's tokenizer, and of adapters' own.</summary>
    readonly ConditionalWeakTable<ITokenizer, ContentMarks> _marks = [];

    readonly EncodingThreads _threads = new(ApiLimits.EncodingsAtATime);

    /// <summary>
    /// All prompts of a request, each encoded once and checked to fit the context. The form of its answers is checked too, which is work of the same kind.
    /// </summary>
    /// <param name="field">The field that the prompts came in, for errors.</param>
    /// <param name="limit">The context that they must fit.</param>
    public Task<ApiOutcome<EncodedPrompt[]>> EncodeAsync(CompletionRequest request, string field, ContextLimit limit, CancellationToken cancellation)
        => MakePromptsAsync(
            () =>
            {
                var rules = new ContextRules(model.Named(request.Adapter), limit, options.StrictMaxTokens, answers: !request.IsEmbedding);
                return EncodeAll(request, field, rules, limit, cancellation);
            },
            cancellation);

    /// <summary>Makes what a request's sequences begin with, when its turn comes. How long that took is measured, with the wait.</summary>
    public async Task<ApiOutcome<T>> MakePromptsAsync<T>(Func<ApiOutcome<T>> work, CancellationToken cancellation) where T : class
    {
        using var span = Spans.Coordinator.StartActivity("encode");
        var received = time.GetTimestamp();
        var made = await InTurnAsync(work, cancellation);
        metrics.PromptsEncoded(time.GetElapsedTime(received));
        return made;
    }

    /// <summary>The ids of a text or a conversation, however many they are.</summary>
    /// <param name="named">The model under the name that was asked for.</param>
    public Task<ApiOutcome<List<int>>> TokenizeAsync(ServedModel named, RawPrompt prompt, bool addSpecialTokens, CancellationToken cancellation)
        => InTurnAsync(() => Tokenize(named, prompt, addSpecialTokens, cancellation), cancellation);

    /// <summary>The ids' text, control tokens as they are written; bytes that are not UTF-8 become U+FFFD.</summary>
    /// <param name="named">The model under the name that was asked for.</param>
    public Task<ApiOutcome<string>> DetokenizeAsync(ServedModel named, IReadOnlyList<int> ids, CancellationToken cancellation)
        => InTurnAsync<string>(() => Detokenize(named, ids), cancellation);

    /// <summary>The form of calls that the operator has chosen; null: the template's.</summary>
    public string? ToolParser => options.ToolParser?.ToString();

    /// <summary>Other work on a request that takes a processor for a while, such as compiling a grammar.</summary>
    public Task<ApiOutcome<T>> WorkAsync<T>(Func<ApiOutcome<T>> work, CancellationToken cancellation) where T : class => InTurnAsync(work, cancellation);

    public void Dispose()
    {
        _turns.Dispose();
        _threads.Dispose();
    }

    ApiOutcome<EncodedPrompt[]> EncodeAll(CompletionRequest request, string field, ContextRules rules, ContextLimit limit, CancellationToken cancellation)
    {
        var encoded = new EncodedPrompt[request.Prompts.Count];
        foreach (var (index, prompt) in request.Prompts.Index())
        {
            cancellation.ThrowIfCancellationRequested();
            if (EncodeToFit(prompt, request, field, rules, limit, cancellation).Failed(out var error, out encoded[index]!)) return error;
        }
        return encoded;
    }

    /// <summary>Lengths are checked as soon as they are known, before work is done on what is too long.</summary>
    ApiOutcome<EncodedPrompt> EncodeToFit(
        RawPrompt prompt, CompletionRequest request, string field, ContextRules rules, ContextLimit limit, CancellationToken cancellation)
    {
        var named = model.Named(request.Adapter);
        if (prompt is RawPrompt.Infill infill) return EncodeInfill(infill, request, field, rules, limit);
        if (prompt is RawPrompt.Tokens tokens)
        {
            var given = request.CutsPrompts && tokens.Ids.Count > limit.Tokens ? [.. tokens.Ids.Take(limit.Tokens)] : tokens.Ids;
            return rules.Check(given, request.Settings, field) is { } wrong ? wrong : new EncodedPrompt(request.Echo ? Detokenize(named, given) : "", given);
        }
        if (TextOf(named, prompt, cancellation).Failed(out var refused, out var text)) return refused;
        if (!request.CutsPrompts && rules.CheckText(text.Text, field) is { } tooLong) return tooLong;
        var ids = Tokenize(named, text, request.AddSpecialTokens);
        if (prompt.Before.Count > 0) ids.InsertRange(0, prompt.Before);
        if (request.CutsPrompts && ids.Count > limit.Tokens) ids.RemoveRange(limit.Tokens, ids.Count - limit.Tokens);
        return rules.Check(ids, request.Settings, field) is { } error ? error : new EncodedPrompt(text.Text, ids);
    }

    /// <summary>Where it is cut, an answer that was asked for has at most half of the context, any other a quarter.</summary>
    ApiOutcome<EncodedPrompt> EncodeInfill(RawPrompt.Infill infill, CompletionRequest request, string field, ContextRules rules, ContextLimit limit)
    {
        if (!infill.Cuts && (rules.CheckText(infill.Prefix, field) ?? rules.CheckText(infill.Suffix, "suffix")) is { } tooLong) return tooLong;
        var ofAnswer = Math.Clamp(request.Settings.MaxTokens ?? limit.Tokens / 4, 1, Math.Max(1, limit.Tokens / 2));
        var named = model.Named(request.Adapter);
        var ids = new InfillPrompts(named.Tokenizer, named.Infill!).Encode(infill, limit.Tokens - ofAnswer);
        return rules.Check(ids, request.Settings, field) is { } error ? error : new EncodedPrompt(infill.Prefix, ids);
    }

    ApiOutcome<List<int>> Tokenize(ServedModel named, RawPrompt prompt, bool addSpecialTokens, CancellationToken cancellation)
        => TextOf(named, prompt, cancellation).Failed(out var error, out var text) ? error : Tokenize(named, text, addSpecialTokens);

    /// <summary>The ids of a text. To be called within <see cref="InTurnAsync"/>.</summary>
    /// <param name="named">The model under the name that was asked for.</param>
    public static List<int> Tokenize(ServedModel named, PromptText text, bool addSpecialTokens)
    {
        var ids = new List<int>();
        var bytes = Encoding.UTF8.GetBytes(text.Text);
        if (text.Words.Count == 0) named.Tokenizer.Encode(bytes, ids, addSpecialTokens, parseSpecial: true);
        else named.Tokenizer.EncodePrompt(bytes, ids, addSpecialTokens, text.WordsInUtf8());
        return ids;
    }

    static string Detokenize(ServedModel named, IReadOnlyList<int> ids)
    {
        var bytes = new List<byte>();
        named.Tokenizer.Decode([.. ids], bytes, includeControl: true);
        return Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(bytes));
    }

    ApiOutcome<PromptText> TextOf(ServedModel named, RawPrompt prompt, CancellationToken cancellation) => prompt switch
    {
        RawPrompt.Text text => new PromptText(text.Written),
        RawPrompt.Tokens tokens => new PromptText(Detokenize(named, tokens.Ids)),
        RawPrompt.Chat chat => Render(named, chat, cancellation),
        RawPrompt.Infill infill => new PromptText(infill.Prefix),
        _ => throw new InvalidOperationException($"a prompt cannot be {prompt.GetType().Name}"),
    };

    /// <summary>The text of a conversation. To be called within <see cref="InTurnAsync"/>.</summary>
    /// <param name="named">The model under the name that was asked for.</param>
    public ApiOutcome<PromptText> Render(ServedModel named, RawPrompt.Chat chat, CancellationToken cancellation)
    {
        if (chat.Template is null && named.Template is null)
            return ApiError.Invalid("messages", named.TemplateProblem is { } problem
                ? $"The chat template of the model '{named.Name}' cannot be read ({problem}); use /v1/completions, or mend the template."
                : $"The model '{named.Name}' has no chat template; use /v1/completions.");
        try
        {
            var input = new ChatTemplateInput
            {
                Messages = chat.ContinuesLast ? WithMark(chat.Messages) : chat.Messages,
                Tools = chat.Tools?.ToTemplate(),
                AddGenerationPrompt = chat.AddGenerationPrompt,
                BosToken = named.BosText,
                EosToken = named.EosText,
                Variables = chat.Variables,
                Now = chat.Now ?? time.GetLocalNow(),
            };
            var text = new PromptText(Write(named, chat, input, standIns: null, cancellation));
            if (!options.ParseSpecialInContent
                && _marks.GetValue(named.Tokenizer, tokenizer => new ContentMarks(tokenizer.SpecialWords)).Mark(input) is { } marked)
            {
                if (marked.Lay(text.Text, Write(named, chat, marked.Input, marked.Meaning, cancellation)) is not { } laid) return Unclear;
                text = laid;
            }
            return chat.ContinuesLast ? UpToMark(text) : text;
        }
        catch (ChatTemplateException refusal)
        {
            return ApiError.Invalid("messages", $"The model's chat template does not take these messages: {refusal.Reason}");
        }
        catch (GoTemplateException refusal)
        {
            return ApiError.Invalid("template", $"'template' cannot be rendered: {refusal.Message}");
        }
    }

    string Write(ServedModel named, RawPrompt.Chat chat, ChatTemplateInput input, IReadOnlyDictionary<char, char>? standIns, CancellationToken cancellation) =>
        chat.Template is { } own ? own.Render(input, time, cancellation, standIns) : named.Template!.Render(input, time, cancellation, options.ToolParser);

    static ApiError Unclear => ApiError.Invalid(
        "messages",
        "The messages have words that the model knows as special tokens, in a place where its chat template looks at them, so that it cannot be told "
        + "which of them are meant as words. Take them out, or have the server read them as special tokens (--parse-special-in-content).");

    /// <summary>
    /// The messages with a mark behind the words of the last one. What the template writes behind the mark is left out, so that the answer goes on with these
    /// words, also where the same ones stand elsewhere or there are none.
    /// </summary>
    static JsonArray WithMark(JsonArray messages)
    {
        var marked = (JsonArray)messages.DeepClone();
        var last = marked[^1]!;
        last["content"] = ((string?)last["content"] ?? "").Trim() + EndMark;
        return marked;
    }

    static ApiOutcome<PromptText> UpToMark(PromptText text) => text.Text.LastIndexOf(EndMark, StringComparison.Ordinal) is >= 0 and var at
        ? text.UpTo(at)
        : ApiError.Invalid("messages", "The last message cannot be continued: the model's chat template does not write its words as they are.");

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
