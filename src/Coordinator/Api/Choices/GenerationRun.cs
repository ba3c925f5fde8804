using System.Runtime.CompilerServices;
using System.Threading.Channels;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Text;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>
/// Runs a request's sequences side by side and joins what they give into one stream, in the order it comes. Leaving the stream early, for
/// whatever reason, ends all of them; a stop text ends its own.
/// </summary>
sealed class GenerationRun(IGenerationEngine engine, ITokenizer tokenizer, IReadOnlyList<ChoiceRequest> requests)
{
    /// <summary>How far sequences may run ahead of a slow client; the engine holds the rest.</summary>
    const int EventsAhead = 256;

    readonly Choice[] _choices = [.. requests.Select(request => new Choice(request, tokenizer))];

    /// <summary>Set if the stream ended because a sequence failed.</summary>
    public ApiError? Error { get; private set; }

    /// <summary>The error is that a sequence was not taken on.</summary>
    public bool Refused { get; private set; }

    public int CompletionTokens => _choices.Sum(choice => choice.Tokens);

    /// <summary>Prompt tokens that no choice had to compute.</summary>
    public int CachedTokens => _choices.GroupBy(choice => choice.Request.Prompt).Sum(ofOnePrompt => ofOnePrompt.Min(choice => choice.CachedTokens));

    public async IAsyncEnumerable<ChoiceDelta> RunAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        var events = Channel.CreateBounded<(Choice Choice, SequenceEvent Happened)>(new BoundedChannelOptions(EventsAhead) { SingleReader = true });
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var endings = _choices.ToDictionary(choice => choice, _ => CancellationTokenSource.CreateLinkedTokenSource(leaving.Token));
        var pumps = _choices.Select(choice => PumpAsync(choice, events.Writer, endings[choice].Token)).ToArray();
        var closing = CloseAfterAsync(pumps, events.Writer);
        try
        {
            await foreach (var (choice, happened) in events.Reader.ReadAllAsync(cancellation))
            {
                if (choice.Finished) continue;
                if (ErrorOf(happened) is { } error)
                {
                    (Error, Refused) = (error, happened is SequenceEvent.Refused);
                    yield break;
                }
                if (choice.Accept(happened) is { } delta) yield return delta;
                if (choice.Finished) endings[choice].Cancel();
            }
            if (!_choices.All(choice => choice.Finished)) Error = ApiError.Internal("The engine ended a sequence without saying why.");
        }
        finally
        {
            leaving.Cancel();
            await closing;
            foreach (var ending in endings.Values) ending.Dispose();
        }
    }

    static ApiError? ErrorOf(SequenceEvent happened) => happened switch
    {
        SequenceEvent.Refused { Why: Refusal.NotReady } refused => ApiError.NotReady(refused.Message),
        SequenceEvent.Refused { Why: Refusal.QueueFull } refused => ApiError.Busy(refused.Message),
        SequenceEvent.Refused refused => ApiError.TooMuchKv(refused.Message),
        SequenceEvent.Failed { Retryable: true } failed => ApiError.Interrupted(failed.Message),
        SequenceEvent.Failed failed => ApiError.Internal(failed.Message),
        _ => null,
    };

    async Task PumpAsync(Choice choice, ChannelWriter<(Choice, SequenceEvent)> events, CancellationToken ending)
    {
        try
        {
            await foreach (var happened in engine.GenerateAsync(choice.Request.Sequence, ending))
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
