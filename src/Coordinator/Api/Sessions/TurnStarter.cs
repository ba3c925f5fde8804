using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Sessions;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Storage;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Sessions;

/// <summary>Begins turns: finds out what session a request belongs to, waits for its turn there, and makes its prompts.</summary>
sealed class TurnStarter(
    SessionDirectory directory, SessionsOptions options, ServedModel model, PromptEncoder encoder, ApiOptions apiOptions, TimeProvider time)
{
    /// <summary>Header of answers: the number of the session's turn, from 1.</summary>
    public const string TurnHeader = "X-Session-Turn";

    /// <summary>Header of answers: how many of the session's oldest messages were dropped, because the context was full.</summary>
    public const string DroppedHeader = "X-Session-Dropped";

    /// <param name="promptField">The field that the prompts came in, for errors.</param>
    /// <param name="limit">The context that they must fit.</param>
    /// <returns>A turn, to be disposed of when its answer has ended.</returns>
    public async Task<ApiOutcome<Turn>> BeginAsync(HttpContext http, CompletionRequest request, string promptField, ContextLimit limit)
    {
        if (SessionRules.Resolve(request.Session, http.Request).Failed(out var unclear, out var session)) return unclear;
        request = request with { Session = session };
        if (session.IsStored) return await BeginStoredAsync(http, request, promptField, limit);
        if (request.Before is { } before) return await BeginFollowingAsync(http, request, promptField, limit, before);
        var made = await encoder.EncodeAsync(request, promptField, limit, http.RequestAborted);
        return made.Failed(out var wrong, out var prompts) ? wrong : new Turn(request, prompts);
    }

    async Task<ApiOutcome<Turn>> BeginFollowingAsync(HttpContext http, CompletionRequest request, string promptField, ContextLimit limit, SessionState before)
    {
        var named = model.Named(request.Adapter);
        var prompt = new TurnPrompt(encoder, named, promptField, limit, apiOptions.StrictMaxTokens);
        var made = await encoder.MakePromptsAsync(() => prompt.Make(before, request, http.RequestAborted), http.RequestAborted);
        return made.Failed(out var wrong, out var input) ? wrong : new RecordedTurn(request, input, before.History, named);
    }

    async Task<ApiOutcome<Turn>> BeginStoredAsync(HttpContext http, CompletionRequest request, string promptField, ContextLimit limit)
    {
        var id = request.Session.Id!;
        if (request.Settings.Choices > 1)
            return ApiError.Invalid("n", $"'n' must be 1 for a turn of a stored session: it goes on with one answer, not with {request.Settings.Choices}.");
        if (request.Prompts[0] is RawPrompt.Chat { AddGenerationPrompt: false })
            return ApiError.Invalid("add_generation_prompt",
                "'add_generation_prompt' must be true for a turn of a stored session: its answer is a message of the assistant.");
        try
        {
            var fresh = SessionNames.IsOurs(id) ? null : new SessionState { Client = ClientOf(http) };
            // Before it takes a place in line: nobody may hold up sessions of others, or learn when they have turns.
            if (await directory.FindAsync(id, http.RequestAborted) is { } known && !IsFor(http, known.Client)) return ApiError.UnknownSession(id);
            var begun = await directory.BeginTurnAsync(id, options.WaitForTurns ? options.TurnWait : TimeSpan.Zero, fresh, http.RequestAborted);
            if (ErrorOf(begun.Outcome, id) is { } refused) return refused;
            if (!IsFor(http, begun.State!.Client))
            {
                await directory.AbortAsync(id, begun.Lease!);
                return ApiError.UnknownSession(id);
            }
            return await PrepareAsync(http, request, promptField, limit, begun);
        }
        catch (StateStoreException gone)
        {
            return ApiError.SessionsUnavailable(gone.Message);
        }
    }

    async Task<ApiOutcome<Turn>> PrepareAsync(HttpContext http, CompletionRequest request, string promptField, ContextLimit limit, BeginReply begun)
    {
        var isTaken = false;
        try
        {
            var named = model.Named(request.Adapter);
            var prompt = new TurnPrompt(encoder, named, promptField, limit, apiOptions.StrictMaxTokens);
            var made = await encoder.MakePromptsAsync(() => prompt.Make(begun.State!, request, http.RequestAborted), http.RequestAborted);
            if (made.Failed(out var wrong, out var input)) return wrong;
            http.Response.Headers[SessionRules.Header] = request.Session.Id;
            http.Response.Headers[TurnHeader] = $"{begun.State!.TurnsTaken + 1}";
            if (input.Dropped > 0) http.Response.Headers[DroppedHeader] = $"{input.Dropped}";
            isTaken = true;
            return new StoredTurn(request, input, begun, directory, named, time);
        }
        finally
        {
            if (!isTaken) await directory.AbortAsync(request.Session.Id!, begun.Lease!);
        }
    }

    ApiError? ErrorOf(BeginOutcome outcome, string id) => outcome switch
    {
        BeginOutcome.Begun => null,
        BeginOutcome.NotFound => ApiError.UnknownSession(id),
        BeginOutcome.Busy when !options.WaitForTurns => ApiError.SessionBusy(
            $"Session '{id}' has a turn that runs, and others are refused meanwhile (--session-conflict reject). Send this one when that has ended."),
        BeginOutcome.Busy => ApiError.SessionBusy(
            $"Session '{id}' has a turn that runs and did not end within {options.TurnWait.TotalSeconds:0.###} s. Send this one when that has ended."),
        BeginOutcome.TooManyWait => ApiError.SessionBusy(
            $"Session '{id}' has a turn that runs, and as many wait for it as may. Send this one when that has ended."),
        BeginOutcome.TooManySessions => ApiError.TooManySessions(options.MostPerClient),
        _ => throw new InvalidOperationException($"no answer is known for a turn that is {outcome}"),
    };

    /// <summary>
    /// Whether the caller may know of a session: where keys are asked for it must be of a key of the same name, or the key an administrator's. Else whoever
    /// knows the session's id may.
    /// </summary>
    /// <param name="client">Whose session it is.</param>
    public static bool IsFor(HttpContext http, string client) =>
        RequestOrigin.CallerOf(http) is not { } caller || caller.Has(ApiScopes.Admin) || client == ClientOf(http);

    /// <summary>Whose session it is, for limits: who sends with a key from an address, for whichever user.</summary>
    public static string ClientOf(HttpContext http) => RequestOrigin.ClientOf(http, null);
}
