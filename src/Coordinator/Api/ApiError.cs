using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace LlamaCluster.Coordinator.Api;

/// <summary>Why a request was not answered, in the shape OpenAI's clients read: {"error":{"message","type","param","code"}}.</summary>
/// <param name="Status">HTTP status.</param>
/// <param name="Param">Path of the field at fault ("messages[0].content"); null where no field is.</param>
/// <param name="Code">For programs; null where the type says enough.</param>
public sealed record ApiError(int Status, string Type, string Message, string? Param = null, string? Code = null)
{
    const string InvalidRequest = "invalid_request_error";
    const string ServerError = "server_error";
    const string Requests = "requests";

    static readonly TimeSpan Soon = TimeSpan.FromSeconds(2);

    /// <summary>When the same request may succeed; null where it will not.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Codes of requests that were right and were not taken on.</summary>
    public static IReadOnlyList<string> RefusalCodes { get; } = ["model_not_ready", "rate_limit_exceeded", "queue_timeout", "overloaded", "kv_cache_exceeded"];

    public static ApiError Invalid(string? param, string message, string? code = null) => new(400, InvalidRequest, message, param, code);

    public static ApiError Unsupported(string param, string message) => Invalid(param, message, "unsupported_parameter");

    public static ApiError UnknownModel(string asked, string served)
        => new(404, InvalidRequest, $"The model '{asked}' does not exist here; this cluster serves '{served}'.", "model", "model_not_found");

    public static ApiError ModelGone(string message) => new(404, InvalidRequest, message, "model", "model_not_found");

    public static ApiError NoAdapter(string param, string message) => new(404, InvalidRequest, message, param, "adapter_not_found");

    /// <param name="param">The field that names the response; null: the address does.</param>
    public static ApiError UnknownResponse(string id, string? param) => new(
        param is null ? 404 : 400, InvalidRequest,
        $"The response '{id}' is not kept: it was never stored, was deleted, or made room for later ones.", param, "response_not_found");

    /// <param name="asked">Method and path.</param>
    /// <param name="hint">A sentence: where to go instead.</param>
    public static ApiError UnknownPath(string asked, string hint)
        => new(404, InvalidRequest, $"Unknown address: {asked}. {hint}", Code: "unknown_url");

    /// <summary>A feature of another server's API that this one does not have.</summary>
    public static ApiError NotImplemented(string message) => new(501, InvalidRequest, message, Code: "not_implemented");

    /// <summary>The request line or the headers are longer than the API takes.</summary>
    public static ApiError LongHead(int status, string message) => new(status, InvalidRequest, message, Code: "request_head_too_large");

    /// <summary>A name of this server that it does not go by: perhaps a page of that site, which must not reach a server of this machine.</summary>
    public static ApiError ForeignHost(string host)
        => new(403, InvalidRequest,
            $"The Host header names '{host}', but this server is for callers of its own machine: call it as localhost or by its address, "
            + "or start it with --cors-origins for that host.", Code: "forbidden_host");

    /// <summary>The server asks for keys, and the request shows none.</summary>
    public static ApiError NoKey { get; } = new(401, InvalidRequest,
        "You didn't provide an API key. Send one as 'Authorization: Bearer KEY' or 'x-api-key: KEY'.", Code: "missing_api_key");

    public static ApiError UnknownKey { get; } = new(401, InvalidRequest, "Incorrect API key provided: it is none of this cluster's.", Code: "invalid_api_key");

    public static ApiError WrongScope(string name, string scope)
        => new(403, InvalidRequest, $"The key of '{name}' is not good for this: it takes one with the scope {scope}.", Code: "insufficient_scope");

    /// <summary>A limit of the key.</summary>
    /// <param name="ofTokens">That of tokens; else one of requests.</param>
    public static ApiError KeyLimit(string name, bool ofTokens, string reason, TimeSpan retryAfter) => new(
        429, ofTokens ? "tokens" : Requests, $"Rate limit reached for the key of '{name}': {reason}. Try again in {Math.Ceiling(retryAfter.TotalSeconds)}s.",
        Code: "rate_limit_exceeded")
    { RetryAfter = retryAfter };

    public static ApiError WrongMethod(string method, string path, string allowed)
        => new(405, InvalidRequest, $"{method} is not allowed for {path}; use {allowed}.", Code: "method_not_allowed");

    public static ApiError TooLarge(int limit)
        => new(413, InvalidRequest, $"The request body is larger than {limit} bytes.", Code: "request_too_large");

    public static ApiError TooSlow(int rate)
        => new(408, InvalidRequest, $"The request body came more slowly than {rate} bytes per second.", Code: "request_timeout");

    public static ApiError WrongMediaType(string message) => new(415, InvalidRequest, message, Code: "unsupported_media_type");

    public static ApiError ContextExceeded(string param, string message) => Invalid(param, message, "context_length_exceeded");

    public static ApiError NotReady(string reason)
        => new(503, ServerError, $"The model is not ready: {reason}", Code: "model_not_ready") { RetryAfter = Soon };

    /// <summary>As many requests wait as may.</summary>
    public static ApiError Busy(string reason)
        => new(429, Requests, $"The cluster is busy: {reason}", Code: "rate_limit_exceeded") { RetryAfter = Soon };

    /// <summary>This client has as many requests waiting as it may; those of others are still taken.</summary>
    public static ApiError ClientBusy(string reason)
        => new(429, Requests, $"This client has as many requests waiting as it may: {reason}", Code: "rate_limit_exceeded") { RetryAfter = Soon };

    /// <summary>The request was queued, and its turn did not come in time.</summary>
    public static ApiError WaitedTooLong(string reason)
        => new(503, ServerError, $"The request waited too long: {reason}", Code: "queue_timeout") { RetryAfter = Soon };

    /// <summary>The coordinator has more prompts to encode than it can hold.</summary>
    public static ApiError Overloaded(string reason)
        => new(503, ServerError, $"The coordinator is overloaded: {reason}", Code: "overloaded") { RetryAfter = Soon };

    /// <summary>The cluster has no room for it in any state.</summary>
    public static ApiError TooMuchKv(string reason) => Invalid(null, $"The request is too large for this cluster: {reason}", "kv_cache_exceeded");

    /// <summary>The cluster lost what it was working on; the same request may succeed later.</summary>
    public static ApiError Interrupted(string message)
        => new(503, ServerError, message, Code: "generation_interrupted") { RetryAfter = Soon };

    public static ApiError UnknownSession(string id) => new(404, InvalidRequest,
        $"There is no session '{id}': it was deleted, it ended by its time to live, or it never was. Make one with POST /v1/sessions.",
        "session_id", "session_not_found");

    /// <summary>Another turn of the session runs.</summary>
    public static ApiError SessionBusy(string message) => new(409, InvalidRequest, message, "session_id", "session_busy") { RetryAfter = Soon };

    /// <summary>The session has changed while its turn ran.</summary>
    public static ApiError SessionChanged(string id) => new(409, InvalidRequest,
        $"Session '{id}' was deleted or changed while this turn ran, so the answer is not part of it. Read the session and send the turn again.",
        "session_id", "session_changed");

    /// <summary>The client has as many sessions as it may.</summary>
    public static ApiError TooManySessions(int most) => new(429, Requests,
        $"This client has {most} sessions, as many as it may. Delete some (DELETE /v1/sessions/ID), or have the limit raised (--sessions-per-client).",
        Code: "session_limit_exceeded");

    /// <summary>Where sessions are kept cannot be used; all else works.</summary>
    public static ApiError SessionsUnavailable(string reason) => new(
        503, ServerError, $"The request's session cannot be used now: {reason}. Requests without a session work.", Code: "session_store_unavailable")
    { RetryAfter = Soon };

    /// <summary>Something that is bounded for all is taken; nothing is wrong with the request.</summary>
    public static ApiError AllTaken(string message) => new(503, ServerError, message, Code: "all_taken") { RetryAfter = Soon };

    /// <summary>A guard or a filter could not be asked, and nothing is told that was not judged.</summary>
    public static ApiError NotJudged(string problem)
        => new(503, ServerError, $"What was asked and answered could not be judged: {problem}.", Code: "content_filter_unavailable") { RetryAfter = Soon };

    public static ApiError Bug(string requestId) => Internal($"An error of the coordinator; its log says more under request id {requestId}.");

    public static ApiError Internal(string message) => new(500, ServerError, message, Code: "internal_error");

    /// <param name="withRetryAfter">Where no header can say it: as "retry_after", in seconds.</param>
    public void WriteTo(Utf8JsonWriter json, bool withRetryAfter = false)
    {
        json.WriteStartObject();
        json.WriteStartObject("error");
        json.WriteString("message", Message);
        json.WriteString("type", Type);
        json.WriteString("param", Param);
        json.WriteString("code", Code);
        if (withRetryAfter && RetryAfter is { } wait) json.WriteNumber("retry_after", (int)Math.Ceiling(wait.TotalSeconds));
        json.WriteEndObject();
        json.WriteEndObject();
    }
}

/// <summary>A value, or the error to answer with.</summary>
readonly struct ApiOutcome<T> where T : class
{
    readonly T? _value;
    readonly ApiError? _error;

    ApiOutcome(T? value, ApiError? error) => (_value, _error) = (value, error);

    public static implicit operator ApiOutcome<T>(T value) => new(value, null);

    public static implicit operator ApiOutcome<T>(ApiError error) => new(null, error);

    public bool Failed([NotNullWhen(true)] out ApiError? error, [NotNullWhen(false)] out T? value)
    {
        (error, value) = (_error, _value);
        return error is not null;
    }
}
