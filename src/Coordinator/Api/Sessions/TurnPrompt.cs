using System.Text;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Text;

namespace LlamaCluster.Coordinator.Api.Sessions;

/// <summary>What a turn asks the model, and what of the history stays.</summary>
/// <param name="History">All messages up to the question, and the ids of the prompt.</param>
/// <param name="Text">The prompt as the template writes it.</param>
/// <param name="Dropped">Messages that had no room.</param>
sealed record TurnInput(SessionHistory History, string Text, int Dropped);

/// <summary>
/// Makes the prompt of a turn. Where the text of history and new messages begins with the text that the stored ids stand for, those ids are kept and only
/// what follows is tokenised, so that every block of KV is found again. Else, and for other tokens, all of it is tokenised: the same prompt, computed anew.
/// </summary>
/// <param name="model">The model under the name that is asked for.</param>
/// <param name="field">What the messages came in, for errors.</param>
/// <param name="strict">An answer length that does not fit is refused; else it is lowered.</param>
sealed class TurnPrompt(PromptEncoder encoder, ServedModel model, string field, ContextLimit limit, bool strict)
{
    const string System = "system";
    const string User = "user";

    readonly TurnText _text = new(encoder, model);
    readonly ContextRules _rules = new(model, limit, strict);

    /// <param name="state">The conversation that it goes on from.</param>
    /// <param name="request">Of one chat.</param>
    public ApiOutcome<TurnInput> Make(SessionState state, CompletionRequest request, CancellationToken cancellation)
    {
        var before = state.History;
        var chat = (RawPrompt.Chat)request.Prompts[0];
        chat = chat with { Now = state.Created, Variables = chat.Variables.Count == 0 ? TurnText.VariablesOf(before) : chat.Variables };
        string[] sent = [.. chat.Messages.Select(SessionForm.TextOf)];
        string[] messages = request.Session.Mode == SessionMode.Append ? [.. before.Messages, .. sent] : sent;
        var turns = messages.AsSpan().StartsWith(before.Messages) ? before.Turns : [];
        var history = before with
        {
            Model = model.TokensDigest,
            Messages = messages,
            Variables = SessionForm.TextOf(chat.Variables),
        };
        if (Encode(chat, before, messages, request, cancellation).Failed(out var refused, out var encoded)) return refused;
        var ids = encoded.Ids;
        history = history with
        {
            Ids = ids,
            Form = _text.FormOf(chat, request.AddSpecialTokens),
            Turns = encoded.Extends ? turns : [.. turns.Select(turn => turn with { Ids = 0 })],
        };
        if (request.Session.Truncate && ids.Length + Least(request.Settings) > limit.Tokens) return Truncate(chat, history, request, cancellation);
        if (request.Session.IsStored && ids.Length >= limit.Tokens) return Full(before, ids.Length, request);
        return _rules.Check(ids, request.Settings, field) is { } wrong ? wrong : new TurnInput(history, encoded.Text, 0);
    }

    /// <summary>Drops as many of the oldest turns as it takes to have some room again; the system messages at the beginning stay.</summary>
    ApiOutcome<TurnInput> Truncate(RawPrompt.Chat chat, SessionHistory history, CompletionRequest request, CancellationToken cancellation)
    {
        var roles = history.Messages.Select(message => (string?)JsonNode.Parse(message)!["role"]).ToArray();
        var head = roles.TakeWhile(role => role == System).Count();
        // Where the rest of the conversation may begin: with a question.
        int[] starts = [.. Enumerable.Range(head, roles.Length - head).Where(index => index > head && roles[index] == User)];
        var (first, last) = (0, starts.Length - 1);
        Encoded? chosen = null;
        var kept = -1;
        while (first <= last)
        {
            var middle = (first + last) / 2;
            var tried = Encode(chat, SessionHistory.Empty, After(history, head, starts[middle]), request, cancellation);
            if (tried.Failed(out var refused, out var encoded)) return refused;
            if (encoded.Ids.Length + Reserve(request.Settings) <= limit.Tokens) (chosen, kept, last) = (encoded, starts[middle], middle - 1);
            else first = middle + 1;
        }
        if (chosen is null)
        {
            // The newest question alone may fit with less room behind it.
            var newest = starts.Length > 0 ? starts[^1] : head;
            var tried = Encode(chat, SessionHistory.Empty, After(history, head, newest), request, cancellation);
            if (tried.Failed(out var refused, out var encoded)) return refused;
            if (encoded.Ids.Length >= limit.Tokens)
                return ApiError.ContextExceeded(field,
                    $"{limit}, but the system messages and the newest question alone have {encoded.Ids.Length}, which leaves no room for an answer. "
                    + $"Shorten them. {limit.Why}");
            (chosen, kept) = (encoded, newest);
        }
        if (_rules.Check(chosen.Ids, request.Settings, field) is { } wrong) return wrong;
        var dropped = kept - head;
        return new TurnInput(history with
        {
            Messages = After(history, head, kept),
            Ids = chosen.Ids,
            Turns = [.. history.Turns.Where(turn => turn.Messages > kept).Select(turn => turn with { Messages = turn.Messages - dropped, Ids = 0 })],
            Dropped = history.Dropped + dropped,
        }, chosen.Text, dropped);
    }

    static string[] After(SessionHistory history, int head, int first) => [.. history.Messages[..head], .. history.Messages[first..]];

    /// <summary>
    /// Room for the answer that is left when turns are dropped: a quarter of the context at least, so that not every turn from now on drops one.
    /// </summary>
    int Reserve(GenerationSettings settings) => Math.Max(limit.Tokens / 4, Least(settings));

    /// <summary>Room for an answer, for which turns are dropped: what was asked for, within reason.</summary>
    int Least(GenerationSettings settings) => Math.Clamp(Math.Min(settings.MaxTokens ?? 1, limit.Tokens / 2), 1, limit.Tokens);

    ApiOutcome<TurnInput> Full(SessionHistory before, int prompt, CompletionRequest request)
    {
        var known = request.Session.Mode == SessionMode.Append ? before.Ids.Length : 0;
        return ApiError.ContextExceeded(field,
            $"{limit}, but this turn's prompt has {prompt}: {known} of the session so far and {prompt - known} new, which leaves "
            + $"{Math.Max(0, limit.Tokens - prompt)} for an answer. Send \"truncation\": \"auto\" to drop the session's oldest turns, lower "
            + $"'{request.Settings.MaxTokensField}', or begin a new session. {limit.Why}");
    }

    ApiOutcome<Encoded> Encode(RawPrompt.Chat chat, SessionHistory before, string[] messages, CompletionRequest request, CancellationToken cancellation)
    {
        if (_text.Render(chat, messages, cancellation).Failed(out var refused, out var text)) return refused;
        if (!request.Session.Truncate && _rules.CheckText(text.Text, field) is { } tooLong) return tooLong;
        if (before.Form == _text.FormOf(chat, request.AddSpecialTokens) && _text.OfStored(chat, before, cancellation)?.RestOf(text) is { } rest
            && _text.Follow(rest) is { } suffix) return new Encoded([.. before.Ids, .. suffix], text.Text, Extends: true);
        return new Encoded([.. PromptEncoder.Tokenize(model, text, request.AddSpecialTokens)], text.Text, Extends: false);
    }

    sealed record Encoded(int[] Ids, string Text, bool Extends);
}
