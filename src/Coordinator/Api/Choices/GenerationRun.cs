using System.Runtime.CompilerServices;
using System.Threading.Channels;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Text;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>
/// Runs a request's sequences side by side and gives what they add as one stream, in the order it comes. Leaving the stream early, for
/// whatever reason, ends all of them; a stop text ends its own sequence.
/// </summary>
sealed class GenerationRun(IGenerationEngine engine, ITokenizer tokenizer, IReadOnlyList<ChoiceRequest> requests, TimeProvider time)
{
    /// <summary>How far several sequences may run ahead of a slow client; the engine holds the rest.</summary>
    const int EventsAhead = 256;

    readonly Choice[] _choices = [.. requests.Select(request => new Choice(request, tokenizer))];
    readonly TaskCompletionSource _takenOn = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>
    /// What is to be done after the only choice's last token and before its end is told; null: nothing. It gives the error that ends the run instead, or null.
    /// </summary>
    public Func<Task<ApiError?>>? Closing { get; init; }

    /// <summary>What looks at the choices before anybody is told; null: nothing.</summary>
    public IAnswerGate? Gate { get; init; }

    /// <summary>Why there is no answer: nothing is run; null: there is one.</summary>
    public FilterVerdict? Verdict { get; init; }

    /// <summary>Completes when a sequence has begun: the engine has taken the request on. It never does if the request is refused.</summary>
    public Task TakenOn => _takenOn.Task;

    /// <summary>When the first token of any choice came, as a timestamp; null: none has.</summary>
    public long? FirstToken { get; private set; }

    /// <summary>Set if the stream ended because a sequence failed or was refused.</summary>
    public ApiError? Error { get; private set; }

    /// <summary>The error is that a sequence was not taken on.</summary>
    public bool Refused { get; private set; }

    /// <summary>Why choices ended, for those that have.</summary>
    public IEnumerable<EndReason> EndReasons => _choices.Select(choice => choice.Finish).OfType<EndReason>();

    public int CompletionTokens => _choices.Sum(choice => choice.Tokens);

    /// <summary>Prompt tokens that no choice had to compute.</summary>
    public int CachedTokens => _choices.GroupBy(choice => choice.Request.Prompt).Sum(ofOnePrompt => ofOnePrompt.Min(choice => choice.CachedTokens));

    /// <summary>Prompt and answer of a choice whose request keeps its ids.</summary>
    public IEnumerable<int> TokensOf(int index) => _choices[index].Request.Sequence.Prompt.Concat(_choices[index].Ids);

    public IAsyncEnumerable<ChoiceDelta> RunAsync(CancellationToken cancellation)
        => Verdict is not null ? EndAllAsync() : _choices is [var only] ? RunOneAsync(only, cancellation) : RunSeveralAsync(cancellation);

    async IAsyncEnumerable<ChoiceDelta> EndAllAsync()
    {
        await Task.CompletedTask;
        foreach (var choice in _choices)
        {
            choice.Block();
            yield return new ChoiceDelta(choice.Request.Index, [], [], new ChoiceEnd(EndReason.ContentFilter) { Verdict = Verdict });
        }
    }

    async IAsyncEnumerable<ChoiceDelta> RunOneAsync(Choice choice, [EnumeratorCancellation] CancellationToken cancellation)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        await foreach (var happened in engine.GenerateAsync(choice.Request.Sequence, ending.Token))
        {
            var delta = Take(choice, happened);
            if (choice.Finished || Error is not null) ending.Cancel();
            if (delta is not null && Gate is not null) delta = await PassAsync(choice, delta, cancellation);
            else if (delta is not null) choice.Request.Record?.Tell(delta, isReplaced: false);
            if (choice.Finish is EndReason.ContentFilter) ending.Cancel();
            if (choice.Finished && Error is null && choice.Finish is not EndReason.ContentFilter && Closing is not null) Error = await Closing();
            if (delta is not null && Error is null) yield return delta;
            if (choice.Finished || Error is not null) yield break;
        }
        FailUnlessFinished();
    }

    async IAsyncEnumerable<ChoiceDelta> RunSeveralAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        var events = Channel.CreateBounded<(Choice Choice, SequenceEvent Happened)>(new BoundedChannelOptions(EventsAhead) { SingleReader = true });
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var endings = _choices.ToDictionary(choice => choice, _ => CancellationTokenSource.CreateLinkedTokenSource(leaving.Token));
        var streams = engine.GenerateTogether([.. _choices.Select(choice => choice.Request.Sequence)]);
        var pumps = _choices.Zip(streams, (choice, stream) => PumpAsync(choice, stream, events.Writer, endings[choice].Token)).ToArray();
        var closing = CloseAfterAsync(pumps, events.Writer);
        try
        {
            await foreach (var (choice, happened) in events.Reader.ReadAllAsync(cancellation))
            {
                if (choice.Finished) continue;
                var delta = Take(choice, happened);
                if (delta is not null && Gate is not null) delta = await PassAsync(choice, delta, cancellation);
                if (delta is not null && Error is null) yield return delta;
                if (Error is not null) yield break;
                if (choice.Finished) endings[choice].Cancel();
            }
            FailUnlessFinished();
        }
        finally
        {
            leaving.Cancel();
            await closing;
            foreach (var ending in endings.Values) ending.Dispose();
        }
    }

    /// <summary>What the gate lets through of a delta, which may end the choice, or the run with <see cref="Error"/>.</summary>
    async Task<ChoiceDelta?> PassAsync(Choice choice, ChoiceDelta delta, CancellationToken cancellation)
    {
        var outcome = await Gate!.PassAsync(delta, cancellation);
        if (outcome.Error is { } error) Error = error;
        if (outcome.Delta is { End.Reason: EndReason.ContentFilter })
        {
            choice.Block();
            choice.Request.Record?.Cut();
        }
        else if (outcome.Delta is { } passed) choice.Request.Record?.Tell(passed, outcome.IsReplaced);
        return outcome.Delta;
    }

    /// <summary>What an event adds to its choice; null for nothing yet, or for an event that ends the run with <see cref="Error"/>.</summary>
    ChoiceDelta? Take(Choice choice, SequenceEvent happened)
    {
        switch (happened)
        {
            case SequenceEvent.Refused refused:
                (Error, Refused) = (SequenceErrors.Of(refused), true);
                return null;
            case SequenceEvent.Failed failed:
                Error = SequenceErrors.Of(failed);
                return null;
            default:
                _takenOn.TrySetResult();
                if (happened is SequenceEvent.Token) FirstToken ??= time.GetTimestamp();
                return choice.Accept(happened);
        }
    }

    void FailUnlessFinished()
    {
        if (!_choices.All(choice => choice.Finished)) Error = ApiError.Internal("The engine ended a sequence without saying why.");
    }

    static async Task PumpAsync(Choice choice, IAsyncEnumerable<SequenceEvent> stream, ChannelWriter<(Choice, SequenceEvent)> events, CancellationToken ending)
    {
        try
        {
            await foreach (var happened in stream.WithCancellation(ending))
                await events.WriteAsync((choice, happened), ending);
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            return; // the choice met a stop text, or nobody reads any more
        }
        catch (Exception bug)
        {
            events.TryComplete(bug); // the reader throws it
        }
    }

    static async Task CloseAfterAsync(Task[] pumps, ChannelWriter<(Choice, SequenceEvent)> events)
    {
        await Task.WhenAll(pumps);
        events.TryComplete();
    }
}
