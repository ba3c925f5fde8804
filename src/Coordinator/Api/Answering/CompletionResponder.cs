using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Coordinator.Api.Sessions;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Text.Grammars;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Answering;

/// <summary>The way of a completion from its body to its answer, whole or as a stream.</summary>
sealed class CompletionResponder(
    IGenerationEngine engine, ServedModel model, RequestReader reader, PromptEncoder encoder, TurnStarter turns, AnswerFormats formats, CoordinatorMetrics metrics, TimeProvider time)
{
    readonly GrammarCache _grammars = new();

    /// <param name="promptField">The field that the prompts come in, for errors.</param>
    /// <param name="makeForm">Makes what writes the answer.</param>
    /// <param name="answerEarly">Answers requests that the engine is not needed for; gives null for all others.</param>
    /// <returns>The error to answer with; null if the answer has been sent, or has begun to be.</returns>
    public async Task<ApiError?> AnswerAsync(
        HttpContext http, Func<FieldReader, CompletionRequest> rules, string promptField, Func<AnswerFacts, IAnswerForm> makeForm,
        Func<CompletionRequest, Task?>? answerEarly = null)
    {
        if ((await reader.ReadAsync(http, rules)).Failed(out var badRequest, out var request)) return badRequest;
        // Asked before prompts are encoded, which is work. The engine refuses what comes to it after it has stopped being ready.
        var status = engine.Status;
        if (!status.TakesSequences) return Counted(ApiError.NotReady(status.Reason));
        var limit = ContextLimit.Of(model, status);
        if (answerEarly?.Invoke(request) is { } answered)
        {
            await answered;
            return null;
        }
        if ((await MakeGrammarAsync(http, request)).Failed(out var badGrammar, out var grammar)) return badGrammar;
        if ((await turns.BeginAsync(http, request, promptField, limit)).Failed(out var badPrompt, out var begun))
            return badPrompt.Status == StatusCodes.Status503ServiceUnavailable ? Counted(badPrompt) : badPrompt;
        await using var turn = begun;
        return await AnswerAsync(http, turn, limit, grammar, makeForm);
    }

    async Task<ApiError?> AnswerAsync(HttpContext http, Turn turn, ContextLimit limit, AnswerGrammar grammar, Func<AnswerFacts, IAnswerForm> makeForm)
    {
        var (settings, prompts) = (turn.Request.Settings, turn.Prompts);
        var least = limit.Tokens - prompts.Max(prompt => prompt.Ids.Count);
        if (settings.MaxTokens > least) RequestReader.AddAdjusted(http.Response, settings.MaxTokensField, $"{least}");
        var choices = new ChoicePlan(turn.Request, RequestOrigin.Of(http, settings.User), limit.Tokens, formats, grammar.Source) { Record = turn.Record }.Make(prompts);
        RequestReader.Release(http);
        var run = new GenerationRun(engine, model.Tokenizer, choices) { Closing = turn.Closing };
        var promptTokens = prompts.Sum(prompt => prompt.Ids.Count);
        var form = makeForm(new AnswerFacts($"{Guid.NewGuid():N}", time.GetUtcNow(), model, settings, promptTokens, choices.Count, run));
        var unsent = settings.Stream ? await new StreamedAnswer(http, run, form, time).SendAsync() : await SendWholeAsync(http, run, form, choices.Count);
        if (run.Error is not null) turn.Discard();
        if (run is { Refused: true, Error: { } error }) Counted(error);
        return unsent;
    }

    /// <summary>Calls that must be made come before any other form of the answer.</summary>
    async Task<ApiOutcome<AnswerGrammar>> MakeGrammarAsync(HttpContext http, CompletionRequest request)
    {
        if (request is { Tools: not { Choice: ToolChoice.Required }, Settings.Grammar: null }) return AnswerGrammar.None;
        var made = await encoder.WorkAsync(() => AnswerGrammar.Of(request, formats.ToolFormat, model.Tokenizer.StopIds, _grammars), http.RequestAborted);
        if (made.Failed(out var error, out var grammar)) return error;
        foreach (var function in grammar.Loosened) RequestReader.AddAdjusted(http.Response, $"tools.{function}.parameters", "object");
        return grammar;
    }

    ApiError Counted(ApiError refusal)
    {
        metrics.RequestRefused(refusal.Code!);
        return refusal;
    }

    static async Task<ApiError?> SendWholeAsync(HttpContext http, GenerationRun run, IAnswerForm form, int count)
    {
        var choices = Enumerable.Range(0, count).Select(_ => new WholeChoice()).ToArray();
        await foreach (var delta in run.RunAsync(http.RequestAborted)) choices[delta.Index].Add(delta);
        if (run.Error is { } error) return error;
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json => form.WriteWhole(json, choices));
        return null;
    }
}
