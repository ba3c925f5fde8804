using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Api.Filtering;

/// <summary>
/// Has prompts and answers judged, where the operator has named a guard or an output filter (<see cref="FilterOptions"/>). What cannot be judged ends the
/// request with an error, unless the operator has it let through.
/// </summary>
sealed partial class ContentFilter(
    ApiOptions options, ServedModel model, CoordinatorMetrics metrics, TimeProvider time, ILogger<ContentFilter> logger) : IDisposable
{
    /// <summary>Windows of one prompt that are judged; one that has more cannot be.</summary>
    const int MostWindows = 16;

    readonly FilterOptions _options = options.Filters;
    readonly Lazy<FilterServers> _servers = new(() => new FilterServers(options.Filters, time));

    /// <summary>Anybody looks at anything.</summary>
    public bool IsOn { get; } = options.Filters is { Guard: not null } or { OutputFilter: not null };

    /// <summary>Judges a request's prompts.</summary>
    /// <returns>An answer's gate; with the verdict if they are not fit.</returns>
    public async Task<ApiOutcome<Filtered>> BeginAsync(HttpContext http, CompletionRequest request, IReadOnlyList<EncodedPrompt> prompts)
    {
        // A stored session's prompt is its whole history, of which this request has the messages that are new.
        var tokenizer = model.Named(request.Adapter).Tokenizer;
        List<SpokenTurn>[] spoken =
        [
            .. prompts.Select((prompt, index) =>
                SpokenTurns.Of(request.Prompts[index], prompt, ids => tokenizer.DecodeText([.. ids], includeControl: false))),
        ];
        if (_options.Guard is not null)
            foreach (var turns in spoken)
            {
                if ((await JudgePromptAsync(turns, http.RequestAborted)).Failed(out var error, out var verdict)) return error;
                if (verdict.Categories.Count > 0) return new Filtered(null, verdict);
            }
        return new Filtered(new AnswerGate(this, request, spoken, model.Name, http.TraceIdentifier, _options), null);
    }

    async Task<ApiOutcome<FilterVerdict>> JudgePromptAsync(List<SpokenTurn> turns, CancellationToken cancellation)
    {
        var windows = SpokenTurns.Windows(turns).ToList();
        if (windows.Count > MostWindows && !_options.FailsOpen)
            return ApiError.Invalid(null,
                $"The prompt is longer than the guard judges: {MostWindows * SpokenTurns.WindowCharacters} characters. Shorten it.", "content_filter_too_long");
        foreach (var window in windows.TakeLast(MostWindows))
        {
            var answer = await JudgeAsync(window, FilterVerdict.Prompt, cancellation);
            if (answer.Problem is { } problem) return Unjudged(problem);
            if (answer.Categories.Count > 0) return new FilterVerdict(FilterVerdict.Prompt, answer.Categories);
        }
        return new FilterVerdict(FilterVerdict.Prompt, []);
    }

    /// <summary>The guard's verdict, where there is one to ask. One that fails is taken for the operator's choice.</summary>
    public Task<FilterAnswer> JudgeAsync(IReadOnlyList<SpokenTurn> turns, string of, CancellationToken cancellation) =>
        _options.Guard is null ? Task.FromResult(FilterAnswer.Fit) : MeasureAsync("guard", of, _servers.Value.JudgeAsync(turns, cancellation));

    /// <summary>What the output filter makes of a window, where there is one to ask.</summary>
    public Task<FilterAnswer> FilterAsync(FilteredWindow window, CancellationToken cancellation) =>
        _options.OutputFilter is null ? Task.FromResult(FilterAnswer.Fit)
            : MeasureAsync("output_filter", FilterVerdict.Answer, _servers.Value.FilterAsync(window, cancellation));

    public static ApiError Unjudged(string problem) => ApiError.NotJudged(problem);

    public void Dispose()
    {
        if (_servers.IsValueCreated) _servers.Value.Dispose();
    }

    async Task<FilterAnswer> MeasureAsync(string filter, string of, Task<FilterAnswer> asked)
    {
        var begun = time.GetTimestamp();
        var answer = await asked;
        var verdict = answer switch
        {
            { Problem: not null } => "failed",
            { Categories.Count: > 0 } => "blocked",
            { Replacement: not null } => "replaced",
            _ => "passed",
        };
        metrics.Filtered(filter, of, verdict, time.GetElapsedTime(begun));
        if (answer.Problem is not { } problem) return answer;
        LogProblem(logger, problem, _options.FailsOpen ? "what it was asked about is let through" : "the request ends with an error");
        return _options.FailsOpen ? FilterAnswer.Fit : answer;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Problem}; {Consequence}")]
    static partial void LogProblem(ILogger logger, string problem, string consequence);
}

/// <summary>What came of judging a request's prompts.</summary>
/// <param name="Gate">What its answer passes through.</param>
/// <param name="Verdict">Not null: the prompts are not fit, and there is no answer.</param>
sealed record Filtered(IAnswerGate? Gate, FilterVerdict? Verdict);
