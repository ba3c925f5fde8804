using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Api.Reading;

/// <summary>
/// Reads the bodies of requests by the rules of their addresses, and tells clients and operators what of them has no effect: in a header of
/// the answer, and in the log once for each name.
/// </summary>
sealed partial class RequestReader(ApiOptions options, BodyBudget budget, ILogger<RequestReader> logger)
{
    /// <summary>Header of an answer: fields of the request that have no effect.</summary>
    public const string Ignored = "X-LlamaCluster-Ignored";

    /// <summary>Header of an answer: fields of the request that were read as another value.</summary>
    public const string Adjusted = "X-LlamaCluster-Adjusted";

    /// <summary>Clients can make up names without end.</summary>
    const int MostLogged = 256;

    readonly ConcurrentDictionary<string, bool> _logged = new(StringComparer.Ordinal);

    /// <summary>
    /// Reads a body and applies <paramref name="rules"/> to it. Nothing of the JSON is kept, because an answer may take long. The body counts against
    /// the <see cref="BodyBudget"/> until the request ends, or until <see cref="Release"/>.
    /// </summary>
    public async Task<ApiOutcome<T>> ReadAsync<T>(HttpContext http, Func<FieldReader, T> rules) where T : class
    {
        var lease = budget.Begin();
        http.Response.RegisterForDispose(lease);
        http.Features.Set(lease);
        if ((await JsonBody.ReadAsync(http.Request, lease, http.RequestAborted)).Failed(out var error, out var body)) return error;
        using (body)
        {
            var findings = new Findings(options.StrictFields);
            var fields = FieldReader.Of(body.RootElement, findings);
            var request = rules(fields);
            fields.ReportUnread();
            Report(http.Response, findings);
            return findings.Error is { } wrong ? wrong : request;
        }
    }

    /// <summary>What was made of the request's body is not needed any more, although the answer goes on.</summary>
    public static void Release(HttpContext http) => http.Features.Get<BodyLease>()?.Dispose();

    /// <summary>Says that a field was read as another value.</summary>
    public static void AddAdjusted(HttpResponse response, string field, string value)
    {
        var before = response.Headers[Adjusted].ToString();
        response.Headers[Adjusted] = before.Length == 0 ? $"{field}={value}" : $"{before}, {field}={value}";
    }

    /// <summary>Reports names within a field that have no effect, as fields are reported.</summary>
    /// <returns>Not null where such names are refused.</returns>
    public ApiError? Ignore(HttpResponse response, string field, IReadOnlyList<string> names)
    {
        if (names.Count == 0) return null;
        if (options.StrictFields) return ApiError.Invalid(field, $"'{field}' has a schema with '{names[0]}', which is no keyword.", "unknown_parameter");
        Report(response, [.. names.Select(name => $"{field}:{Findings.Plain(name)}")]);
        return null;
    }

    void Report(HttpResponse response, Findings findings)
    {
        if (findings.Adjusted.Count > 0) response.Headers[Adjusted] = string.Join(", ", findings.Adjusted);
        if (findings.Ignored.Count > 0) Report(response, findings.Ignored);
    }

    void Report(HttpResponse response, IReadOnlyCollection<string> ignored)
    {
        var before = response.Headers[Ignored].ToString();
        response.Headers[Ignored] = string.Join(", ", before.Length == 0 ? ignored : ignored.Prepend(before));
        foreach (var name in ignored)
        {
            if (_logged.ContainsKey(name) || _logged.Count >= MostLogged || !_logged.TryAdd(name, true)) continue;
            LogIgnored(name, response.HttpContext.Request.Path, Ignored);
            if (_logged.Count == MostLogged) LogNoMore(MostLogged);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Clients send '{Field}' to {Path}, which has no effect; their answers say so in {Header}")]
    partial void LogIgnored(string field, string path, string header);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Count} names of fields without effect have been logged; others will not be")]
    partial void LogNoMore(int count);
}
