using System.Diagnostics;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Filtering;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Coordinator.Api.Sessions;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Text.Grammars;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Answering;

/// <summary>The way of a completion from its body to its answer, whole or as a stream.</summary>
sealed class CompletionResponder(
    IGenerationEngine engine, ServedModel model, RequestReader reader, PromptEncoder encoder, TurnStarter turns, AnswerFormats formats,
    GrammarCache grammars, ContentFilter filter, CoordinatorMetrics metrics, TimeProvider time)
{
    /// <param name="promptField">The field that the prompts come in, for errors.</param>
    /// <param name="operation">What traces call it.</param>
    /// <param name="makeForm">Makes what writes the answer.</param>
    /// <param name="answerEarly">Answers requests that the engine is not needed for; gives null for all others.</param>
    /// <param name="complete">Adds to a request what is not in its body.</param>
    /// <returns>The error to answer with; null if the answer has been sent, or has begun to be.</returns>
    public async Task<ApiError?> AnswerAsync(
        HttpContext http, Func<FieldReader, CompletionRequest> rules, string promptField, string operation, Func<AnswerFacts, IAnswerForm> makeForm,
        Func<CompletionRequest, Task?>? answerEarly = null, Func<CompletionRequest, Task<ApiOutcome<CompletionRequest>>>? complete = null)
    {
        ServedAdapter? adapter = null;
        var read = await reader.ReadAsync(http, fields =>
        {
            var asked = rules(fields);
            adapter = fields.Adapter;
            return asked;
        });
        if (read.Failed(out var badRequest, out var request)) return badRequest;
        // Asked before prompts are encoded, which is work. The engine refuses what comes to it after it has stopped being ready.
        var status = engine.Status;
        if (!status.TakesSequences) return metrics.Count(ApiError.NotReady(status.Reason));
        var limit = ContextLimit.Of(model, status);
        if (answerEarly?.Invoke(request) is { } answered)
        {
            await answered;
            return null;
        }
        if (complete is not null && (await complete(request)).Failed(out var incomplete, out request)) return metrics.Count(incomplete);
        request = request with { Adapter = adapter };
        using var span = RequestSpan.Start(operation, model.Named(adapter), request, http.TraceIdentifier);
        if ((await MakeGrammarAsync(http, request)).Failed(out var badGrammar, out var grammar)) return NotBegun(span, badGrammar);
        if ((await turns.BeginAsync(http, request, promptField, limit)).Failed(out var badPrompt, out var begun)) return NotBegun(span, badPrompt);
        await using var turn = begun;
        Filtered? filtered = null;
        if (filter.IsOn && (await filter.BeginAsync(http, turn.Request, turn.Prompts)).Failed(out var unjudged, out filtered)) return NotBegun(span, unjudged);
        return await AnswerAsync(http, turn, limit, grammar, filtered, makeForm, span);
    }

    async Task<ApiError?> AnswerAsync(
        HttpContext http, Turn turn, ContextLimit limit, AnswerGrammar grammar, Filtered? filtered, Func<AnswerFacts, IAnswerForm> makeForm, Activity? span)
    {
        var (settings, prompts, named) = (turn.Request.Settings, turn.Prompts, model.Named(turn.Request.Adapter));
        var least = limit.Tokens - prompts.Max(prompt => prompt.Ids.Count);
        if (settings.MaxTokens > least) RequestReader.AddAdjusted(http.Response, settings.MaxTokensField, $"{least}");
        var plan = new ChoicePlan(turn.Request, RequestOrigin.Of(http, settings), limit.Tokens, formats, grammar.Source)
        {
            Record = turn.Record,
            KvAt = turn.KvAt,
        };
        var choices = plan.Make(prompts);
        RequestReader.Release(http);
        if (filtered?.Verdict is { } unfit) TellVerdict(http, unfit);
        var run = new GenerationRun(engine, named.Tokenizer, choices, time) { Closing = turn.Closing, Gate = filtered?.Gate, Verdict = filtered?.Verdict };
        var promptTokens = prompts.Sum(prompt => prompt.Ids.Count);
        var facts = new AnswerFacts($"{Guid.NewGuid():N}", time.GetUtcNow(), named, settings, promptTokens, choices.Count, run, turn.HistoryWithAnswer);
        var form = makeForm(facts);
        var unsent = await SendAsync(http, run, form, settings.Stream, choices.Count, promptTokens);
        if (run.Error is not null || run.EndReasons.Contains(EndReason.ContentFilter)) turn.Discard();
        RequestSpan.End(span, form.Id, named, run, promptTokens);
        if (run is { Refused: true, Error: { } error }) metrics.Count(error);
        foreach (var reason in run.EndReasons) metrics.ChoicesFinished(OutcomeOf(reason));
        return unsent;
    }

    static string OutcomeOf(EndReason reason) => reason switch
    {
        EndReason.Length => SequenceOutcome.Length,
        EndReason.ContentFilter => SequenceOutcome.Filtered,
        _ => SequenceOutcome.Stop,
    };

    /// <summary>Calls that must be made come before any other form of the answer.</summary>
    async Task<ApiOutcome<AnswerGrammar>> MakeGrammarAsync(HttpContext http, CompletionRequest request)
    {
        if (request is { Tools: not { Choice: ToolChoice.Required }, Settings.Grammar: null }) return AnswerGrammar.None;
        var named = model.Named(request.Adapter);
        var made = await encoder.WorkAsync(
            () => AnswerGrammar.Of(request, formats.ToolFormatOf(named), named.Tokenizer.StopIds, grammars), http.RequestAborted);
        if (made.Failed(out var error, out var grammar)) return error;
        if (reader.Ignore(http.Response, grammar.Field, grammar.UnknownKeywords) is { } unknown) return unknown;
        foreach (var function in grammar.Loosened) RequestReader.AddAdjusted(http.Response, $"tools.{function}.parameters", "object");
        return grammar;
    }

    /// <summary>For clients of APIs whose answers have no place for it. Of a stream only a prompt's comes in time.</summary>
    static void TellVerdict(HttpContext http, FilterVerdict verdict) =>
        http.Response.Headers[FilterVerdict.Header] = $"{verdict.Of} {string.Join(',', verdict.Categories)}";

    ApiError NotBegun(Activity? span, ApiError error)
    {
        RequestSpan.Fail(span, error);
        return metrics.Count(error);
    }

    async Task<ApiError?> SendAsync(HttpContext http, GenerationRun run, IAnswerForm form, bool streams, int choices, int promptTokens)
    {
        try
        {
            return streams ? await new StreamedAnswer(http, run, form, time).SendAsync() : await SendWholeAsync(http, run, form, choices);
        }
        finally
        {
            if (!run.Refused) RequestAccount.Of(http)?.Add(promptTokens, run.CompletionTokens);   // also where nobody waited for the end
        }
    }

    static async Task<ApiError?> SendWholeAsync(HttpContext http, GenerationRun run, IAnswerForm form, int count)
    {
        var choices = Enumerable.Range(0, count).Select(_ => new WholeChoice()).ToArray();
        await foreach (var delta in run.RunAsync(http.RequestAborted)) choices[delta.Index].Add(delta);
        if (run.Error is { } error) return error;
        if (Array.Find(choices, choice => choice.End?.Verdict is not null) is { End.Verdict: { } verdict }) TellVerdict(http, verdict);
        await form.PrepareAsync(choices);
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json => form.WriteWhole(json, choices));
        return null;
    }
}
