using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Sessions.Grains;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>What a request has to do with a session.</summary>
enum SessionMode
{
    /// <summary>The messages are the whole conversation. Nothing is stored; the name only says which KV may soon be wanted again.</summary>
    Hold,

    /// <summary>The messages follow those of the session. Both and the answer are stored.</summary>
    Append,

    /// <summary>The messages are the whole conversation, in place of what the session had. They and the answer are stored.</summary>
    Replace,
}

/// <param name="Id">Null: no session.</param>
/// <param name="Mode">Null: as the id says; see <see cref="SessionRules"/>.</param>
/// <param name="KeepPartial">An answer that is cut short is stored as far as it was made; otherwise the session stays as it was.</param>
/// <param name="Truncate">Where the context is full, the oldest turns are dropped; otherwise the request is refused.</param>
sealed record SessionRequest(string? Id, SessionMode? Mode, bool KeepPartial, bool Truncate)
{
    public static readonly SessionRequest None = new(null, null, KeepPartial: false, Truncate: false);

    public bool IsStored => Mode is SessionMode.Append or SessionMode.Replace;
}

/// <summary>
/// Which session a request belongs to. The field `session_id` counts, else the header X-Session-Id. An id that this server made means the session of that id,
/// to whose messages those of the request are added. Any other id is a client's own name for its conversation. Many clients send one with every request
/// and all messages besides, so it stores nothing unless `session_mode` says to. Of the header alone nothing else is ever concluded.
/// </summary>
static class SessionRules
{
    /// <summary>Header of requests: the session. Header of answers: the session that was stored.</summary>
    public const string Header = "X-Session-Id";

    const string Id = "session_id";
    const string Mode = "session_mode";
    const string KeepPartial = "keep_partial";
    const string Truncation = "truncation";

    public static SessionRequest ReadChat(FieldReader fields) => new(
        ReadId(fields), ReadMode(fields), fields.Flag(KeepPartial), ReadOneOf(fields, Truncation, "disabled", "auto") == 1);

    /// <summary>Plain completions have no messages that could be stored.</summary>
    public static SessionRequest ReadCompletion(FieldReader fields)
    {
        const string chatOnly = "is for /v1/chat/completions only";
        fields.Neutral(Mode, Neutral.Never, chatOnly);
        fields.Neutral(KeepPartial, Neutral.False, chatOnly);
        fields.Neutral(Truncation, Neutral.Text("disabled"), chatOnly);
        var id = ReadId(fields);
        if (id is not null && SessionNames.IsOurs(id)) fields.Refuse(Id, $"'{Id}' names a stored session, which is for /v1/chat/completions only.");
        return SessionRequest.None with { Id = id };
    }

    /// <summary>The session with what the request's header says, and its mode.</summary>
    public static ApiOutcome<SessionRequest> Resolve(SessionRequest given, HttpRequest http)
    {
        var header = http.Headers[Header] is [{ } name] && SessionNames.IsValid(name) ? name : null;
        var mode = given.Mode ?? (given.Id is not null && SessionNames.IsOurs(given.Id) ? SessionMode.Append : SessionMode.Hold);
        var session = given with { Id = given.Id ?? header, Mode = mode };
        if (!session.IsStored)
            return session.KeepPartial ? Misplaced(KeepPartial) : session.Truncate ? Misplaced(Truncation) : session;
        return session.Id is null ? ApiError.Invalid(Mode, $"'{Mode}' needs a session: give '{Id}'.") : session;
    }

    static ApiError Misplaced(string field)
        => ApiError.Invalid(field, $"'{field}' is for the turns of a stored session: give its '{Id}', or a name of your own and '{Mode}'.");

    static string? ReadId(FieldReader fields)
    {
        var id = fields.Text(Id);
        if (id is null || SessionNames.IsValid(id)) return id;
        if (fields.Find(Mode) is not null)
            fields.Refuse(Id, $"'{Id}' must have 1 to {SessionNames.LongestId} visible ASCII characters, no '/' among them.");
        else
            fields.Hint(Id, Neutral.Never, $"must have 1 to {SessionNames.LongestId} visible ASCII characters, no '/' among them");
        return null;
    }

    static SessionMode? ReadMode(FieldReader fields) => ReadOneOf(fields, Mode, "append", "replace") switch
    {
        0 => SessionMode.Append,
        1 => SessionMode.Replace,
        _ => null,
    };

    /// <returns>Which of the two it is; null if the field is absent or wrong.</returns>
    static int? ReadOneOf(FieldReader fields, string name, string first, string second)
    {
        if (fields.Text(name) is not { } text) return null;
        if (text == first) return 0;
        if (text == second) return 1;
        fields.Refuse(name, $"'{name}' must be \"{first}\" or \"{second}\", not '{JsonText.Shorten(text)}'.");
        return null;
    }
}
