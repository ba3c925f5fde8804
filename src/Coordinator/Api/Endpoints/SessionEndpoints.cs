using System.Globalization;
using System.Text.Json;
using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Coordinator.Api.Sessions;
using LlamaCluster.Sessions;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Storage;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>What the addresses of sessions have in common: an error of their store is an answer.</summary>
abstract class SessionEndpoint(SessionDirectory directory) : IEndpoint
{
    /// <summary>Route value: which session.</summary>
    public const string Id = "session";

    protected SessionDirectory Directory => directory;

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        try
        {
            return await AnswerAsync(http, http.Request.RouteValues[Id] as string ?? "", http.RequestAborted);
        }
        catch (StateStoreException gone)
        {
            return ApiError.SessionsUnavailable(gone.Message);
        }
    }

    protected abstract Task<ApiError?> AnswerAsync(HttpContext http, string id, CancellationToken cancellation);

    /// <returns>Null if there is no such session, or none for this caller.</returns>
    protected async Task<SessionState?> ReadAsync(HttpContext http, string id, CancellationToken cancellation) =>
        await directory.ReadAsync(id, cancellation) is { } state && TurnStarter.IsFor(http, state.Client) ? state : null;

    protected static async Task<ApiError?> SendAsync(HttpContext http, Action<Utf8JsonWriter> write)
    {
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, write);
        return null;
    }

    /// <summary>A body may be left out where every field may.</summary>
    protected static bool HasBody(HttpRequest request) => request.ContentLength > 0 || request.Headers.ContainsKey("Transfer-Encoding");

    /// <summary>Makes a session, and answers with it.</summary>
    protected async Task<ApiError?> CreateAsync(HttpContext http, SessionState first, SessionsOptions options, CancellationToken cancellation)
        => (await directory.CreateAsync(first, cancellation)).Session is { } made
            ? await SendAsync(http, json => SessionForm.WriteSession(
                json, made.Id, first with { Created = made.Created, Updated = made.Updated, TimeToLive = made.Expires - made.Updated }))
            : ApiError.TooManySessions(options.MostPerClient);
}

/// <summary>GET and POST /v1/sessions: the list, and a new one.</summary>
sealed class SessionsEndpoint(SessionDirectory directory, SessionsOptions options, ServedModel model, RequestReader reader) : SessionEndpoint(directory)
{
    const int UsualPage = 20;
    const int LargestPage = 100;

    protected override async Task<ApiError?> AnswerAsync(HttpContext http, string id, CancellationToken cancellation)
    {
        if (!HttpMethods.IsPost(http.Request.Method)) return await ListAsync(http, cancellation);
        var client = TurnStarter.ClientOf(http);
        if (!HasBody(http.Request)) return await CreateAsync(http, new SessionState { Client = client }, options, cancellation);
        return (await reader.ReadAsync(http, fields => ReadNew(fields, client))).Failed(out var wrong, out var first)
            ? wrong
            : await CreateAsync(http, first, options, cancellation);
    }

    SessionState ReadNew(FieldReader fields, string client)
    {
        var named = fields.Model(model);
        var ttl = fields.Integer("ttl", 1, (long)TimeSpan.FromDays(3660).TotalSeconds);
        var messages = MessageRules.ReadAny(fields, named);
        return new SessionState
        {
            Client = client,
            TimeToLive = ttl is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
            Metadata = SessionForm.ReadMetadata(fields),
            History = SessionHistory.Empty with { Messages = [.. messages.Select(SessionForm.TextOf)] },
        };
    }

    async Task<ApiError?> ListAsync(HttpContext http, CancellationToken cancellation)
    {
        // The list has the sessions of all callers.
        if (RequestOrigin.CallerOf(http) is { } caller && !caller.Has(ApiScopes.Admin)) return ApiError.WrongScope(caller.Name, "admin");
        var asked = http.Request.Query;
        var (limit, before, since) = (asked["limit"].ToString(), asked["updated_before"].ToString(), asked["updated_since"].ToString());
        if (!TryNumber(limit, UsualPage, 1, LargestPage, out var count))
            return ApiError.Invalid("limit", $"'limit' must be a whole number from 1 to {LargestPage}.");
        if (!TryTime(before, out var updatedBefore)) return ApiError.Invalid("updated_before", "'updated_before' must be a time in seconds since 1970.");
        if (!TryTime(since, out var updatedSince)) return ApiError.Invalid("updated_since", "'updated_since' must be a time in seconds since 1970.");
        if (asked["order"].ToString() is not ("" or "asc" or "desc") and var order)
            return ApiError.Invalid("order", $"'order' must be asc or desc, not '{JsonText.Shorten(order)}'.");
        var after = asked["after"].ToString();
        var query = new SessionQuery((int)count, after.Length > 0 ? after : null, asked["order"] == "asc")
        {
            UpdatedBefore = updatedBefore,
            UpdatedSince = updatedSince,
        };
        if (await Directory.ListAsync(query, cancellation) is not { } page) return ApiError.UnknownSession(JsonText.Shorten(after));
        return await SendAsync(http, json => Write(json, page));
    }

    static void Write(Utf8JsonWriter json, SessionPage page)
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        foreach (var session in page.Sessions) SessionForm.WriteEntry(json, session);
        json.WriteEndArray();
        json.WriteString("first_id", page.Sessions.FirstOrDefault()?.Id);
        json.WriteString("last_id", page.Sessions.LastOrDefault()?.Id);
        json.WriteBoolean("has_more", page.HasMore);
        json.WriteEndObject();
    }

    static bool TryNumber(string text, long otherwise, long least, long most, out long number)
    {
        number = otherwise;
        return text.Length == 0 || (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number >= least && number <= most);
    }

    static bool TryTime(string text, out DateTimeOffset? time)
    {
        const long end = 253_402_300_799;   // of the year 9999
        var isTime = TryNumber(text, 0, 0, end, out var seconds);
        time = text.Length > 0 && isTime ? DateTimeOffset.FromUnixTimeSeconds(seconds) : null;
        return isTime;
    }
}

/// <summary>GET and DELETE /v1/sessions/ID</summary>
sealed class OneSessionEndpoint(SessionDirectory directory) : SessionEndpoint(directory)
{
    protected override async Task<ApiError?> AnswerAsync(HttpContext http, string id, CancellationToken cancellation)
    {
        if (HttpMethods.IsDelete(http.Request.Method))
        {
            if (RequestOrigin.CallerOf(http) is not null && await ReadAsync(http, id, cancellation) is null || !await Directory.DeleteAsync(id, cancellation))
                return ApiError.UnknownSession(JsonText.Shorten(id));
            return await SendAsync(http, json =>
            {
                json.WriteStartObject();
                json.WriteString("id", id);
                json.WriteString("object", "session.deleted");
                json.WriteBoolean("deleted", true);
                json.WriteEndObject();
            });
        }
        if (await ReadAsync(http, id, cancellation) is not { } state) return ApiError.UnknownSession(JsonText.Shorten(id));
        return await SendAsync(http, json => SessionForm.WriteSession(json, id, state));
    }
}

/// <summary>GET /v1/sessions/ID/export</summary>
sealed class SessionExportEndpoint(SessionDirectory directory) : SessionEndpoint(directory)
{
    protected override async Task<ApiError?> AnswerAsync(HttpContext http, string id, CancellationToken cancellation)
        => await ReadAsync(http, id, cancellation) is { } state
            ? await SendAsync(http, json => SessionForm.WriteExport(json, id, state))
            : ApiError.UnknownSession(JsonText.Shorten(id));
}

/// <summary>POST /v1/sessions/ID/fork: a new session that begins as another one is, or was after one of its turns.</summary>
sealed class SessionForkEndpoint(SessionDirectory directory, SessionsOptions options, RequestReader reader) : SessionEndpoint(directory)
{
    sealed record Request(int? Turns, string? Metadata);

    protected override async Task<ApiError?> AnswerAsync(HttpContext http, string id, CancellationToken cancellation)
    {
        var asked = new Request(null, null);
        if (HasBody(http.Request) && (await reader.ReadAsync(http, Read)).Failed(out var wrong, out asked)) return wrong;
        if (await ReadAsync(http, id, cancellation) is not { } state) return ApiError.UnknownSession(JsonText.Shorten(id));
        var history = state.History;
        if (asked.Turns is { } turns)
        {
            if (turns > history.Turns.Length) return ApiError.Invalid("turns", $"'turns' is {turns}; the session has {history.Turns.Length}.");
            history = history.UpTo(turns);
        }
        var fork = state with
        {
            Client = TurnStarter.ClientOf(http),
            Epoch = 0,
            TurnsTaken = history.Turns.Length,
            History = history,
            Metadata = asked.Metadata ?? state.Metadata,
        };
        return await CreateAsync(http, fork, options, cancellation);
    }

    static Request Read(FieldReader fields) => new(fields.Count("turns", 1, int.MaxValue), SessionForm.ReadMetadata(fields));
}

/// <summary>POST /v1/sessions/import: a new session from one that was exported.</summary>
sealed class SessionImportEndpoint(
    SessionDirectory directory, SessionsOptions options, ServedModel model, RequestReader reader, PromptEncoder encoder) : SessionEndpoint(directory)
{
    readonly StoredIds _ids = new(encoder, model);

    protected override async Task<ApiError?> AnswerAsync(HttpContext http, string id, CancellationToken cancellation)
    {
        var client = TurnStarter.ClientOf(http);
        if ((await reader.ReadAsync(http, fields => SessionForm.ReadExport(fields, model, client))).Failed(out var wrong, out var given)) return wrong;
        if ((await encoder.InTurnAsync(() => _ids.Check(given, cancellation), cancellation)).Failed(out var unusable, out var history)) return unusable;
        return await CreateAsync(http, given with { History = history }, options, cancellation);
    }
}
