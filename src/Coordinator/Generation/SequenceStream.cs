using System.Threading.Channels;
using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Generation;

/// <summary>
/// A request on its way through the generation loop, and the events that it gives. The loop never waits for a reader: the queue between
/// them holds at most one event per token that the request may generate and per step of its prompt, and one before and after them.
/// </summary>
/// <param name="prefixes">Of the request's prompt.</param>
sealed class SequenceStream(SequenceRequest request, PrefixChain prefixes)
{
    readonly Channel<SequenceEvent> _events = Channel.CreateUnbounded<SequenceEvent>(new UnboundedChannelOptions { SingleReader = true });

    bool _begun;

    public SequenceRequest Request => request;

    public PrefixChain Prefixes => prefixes;

    /// <summary>Set by the loop when the scheduler has taken it.</summary>
    public Sequence? Sequence { get; set; }

    public IAsyncEnumerable<SequenceEvent> ReadAllAsync(CancellationToken cancellation) => _events.Reader.ReadAllAsync(cancellation);

    public void Report(SequenceAdvance advance)
    {
        if (!_begun) _events.Writer.TryWrite(new SequenceEvent.Begun(advance.Sequence.CachedTokens ?? 0));
        _begun = true;
        if (advance.Prompt.Count > 0) _events.Writer.TryWrite(new SequenceEvent.Prompt(advance.Prompt));
        foreach (var token in advance.Tokens) _events.Writer.TryWrite(new SequenceEvent.Token(token));
        if (advance.Finished is { } reason) EndWith(new SequenceEvent.Finished(reason));
    }

    public void Refuse(string message, Refusal why) => EndWith(new SequenceEvent.Refused(message, why));

    public void Fail(string message, bool retryable) => EndWith(new SequenceEvent.Failed(message, retryable));

    void EndWith(SequenceEvent last)
    {
        _events.Writer.TryWrite(last);
        _events.Writer.TryComplete();
    }
}
