using System.Globalization;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Coordinator.Measuring;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Net.Http.Headers;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>On an endpoint: what a key must be good for. Without it <see cref="ApiScopes.Inference"/> is needed; None: it answers strangers too.</summary>
/// <param name="ToRead">For GET and HEAD, where that is another one.</param>
sealed record NeededScope(ApiScopes Scope, ApiScopes? ToRead = null)
{
    public ApiScopes For(string method) => ToRead is { } toRead && (HttpMethods.IsGet(method) || HttpMethods.IsHead(method)) ? toRead : Scope;
}

/// <summary>
/// Middleware: lets in who shows a key that is good for what was asked, and keeps who that is as an <see cref="ApiCaller"/> among the request's
/// features. A key is shown as OpenAI's clients do (Authorization: Bearer) or as Anthropic's (x-api-key). What a key may use is counted here.
/// </summary>
sealed partial class ApiKeyGate(RequestDelegate next, ApiKeys keys, CoordinatorMetrics metrics, ILogger<ApiKeyGate> logger)
{
    /// <summary>What the metrics call a refusal because of a key's limits.</summary>
    public const string LimitOfKey = "key_limit";

    const string Header = "X-Api-Key";
    const string Scheme = "Bearer ";

    static readonly string[] RequestsLeft = NamesOf("requests");
    static readonly string[] TokensLeft = NamesOf("tokens");

    /// <summary>Headers of answers that say what is left of a key's limits.</summary>
    public static IEnumerable<string> LimitHeaders => RequestsLeft.Concat(TokensLeft);

    public Task InvokeAsync(HttpContext http)
    {
        var needed = http.GetEndpoint()?.Metadata.GetMetadata<NeededScope>()?.For(http.Request.Method) ?? ApiScopes.Inference;
        var shown = ShownBy(http.Request);
        var caller = keys.Find(shown) ?? ApiCaller.Stranger;
        http.Features.Set(caller);
        if (caller.Has(needed)) return !caller.Limits.AreCounted || IsFree(needed, http.Request.Method) ? next(http) : AnswerWithinLimitsAsync(http, caller);
        var refusal = caller.Scopes != ApiScopes.None ? ApiError.WrongScope(caller.Name, needed.ToString().ToLowerInvariant())
            : shown is null ? ApiError.NoKey : ApiError.UnknownKey;
        LogRefused(http.Request.Method, http.Request.Path, http.Connection.RemoteIpAddress, refusal.Code!, caller.Name);
        if (refusal.Status == StatusCodes.Status401Unauthorized) http.Response.Headers.WWWAuthenticate = "Bearer";
        return JsonResponse.WriteAsync(http.Response, refusal);
    }

    /// <summary>What only looks costs nothing, and neither does what strangers may ask for.</summary>
    static bool IsFree(ApiScopes needed, string method) => needed == ApiScopes.None || HttpMethods.IsGet(method) || HttpMethods.IsHead(method);

    async Task AnswerWithinLimitsAsync(HttpContext http, ApiCaller caller)
    {
        var (usage, account) = (keys.UsageOf(caller), RequestAccount.Open(http));
        var reached = usage.Begin(caller.Limits);
        WriteLeft(http.Response, usage.Left(caller.Limits));
        if (reached is not null)
        {
            metrics.RequestsRefused(LimitOfKey);
            await JsonResponse.WriteAsync(http.Response, ApiError.KeyLimit(caller.Name, reached.OfTokens, reached.Reason, reached.RetryAfter));
            return;
        }
        try
        {
            await next(http);
        }
        finally
        {
            usage.End(account.Tokens);
        }
    }

    /// <summary>OpenAI's headers: https://platform.openai.com/docs/guides/rate-limits.</summary>
    static void WriteLeft(HttpResponse response, (Allowance? Requests, Allowance? Tokens) left)
    {
        Write(RequestsLeft, left.Requests);
        Write(TokensLeft, left.Tokens);

        void Write(string[] names, Allowance? allowance)
        {
            if (allowance is not { } known) return;
            response.Headers[names[0]] = known.Limit.ToString(CultureInfo.InvariantCulture);
            response.Headers[names[1]] = known.Remaining.ToString(CultureInfo.InvariantCulture);
            response.Headers[names[2]] = string.Create(CultureInfo.InvariantCulture, $"{known.Reset.TotalSeconds:0.###}s");
        }
    }

    static string[] NamesOf(string what) => [$"x-ratelimit-limit-{what}", $"x-ratelimit-remaining-{what}", $"x-ratelimit-reset-{what}"];

    /// <returns>Null: no key is shown, or several.</returns>
    static string? ShownBy(HttpRequest request) => (request.Headers.Authorization, request.Headers[Header]) switch
    {
        ([{ } header], []) when header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) => header[Scheme.Length..].Trim(),
        ([], [{ } key]) => key,
        ([{ } header], [{ } key]) when header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) && header[Scheme.Length..].Trim() == key => key,
        _ => null,
    };

    [LoggerMessage(Level = LogLevel.Information, Message = "Refused {Method} {Path} of {Address}: {Code} {Caller}")]
    partial void LogRefused(string method, string path, System.Net.IPAddress? address, string code, string caller);
}
