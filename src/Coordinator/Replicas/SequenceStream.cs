using System.Runtime.CompilerServices;
using System.Threading.Channels;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Text.Grammars.Drafting;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>
/// A request on its way through a replica's loop, and the events that it gives. The loop never waits for a reader. A reader that falls far
/// behind has its sequence paused, so the events between them are bounded: by the limit, and by what the steps under way may add.
/// </summary>
/// <param name="keys">The keys of the request's prompt, which other streams may share.</param>
/// <param name="submitted">When it was submitted, as a timestamp.</param>
/// <param name="wake">Called when the loop waits for the reader and the reader has caught up.</param>
sealed class SequenceStream(SequenceRequest request, PromptKeys keys, long submitted, Action wake)
{
    readonly Channel<SequenceEvent> _events = Channel.CreateUnbounded<SequenceEvent>(new UnboundedChannelOptions { SingleReader = true });
    bool _begun;
    int _written;
    int _read;
    int _waitedFor;   // the events that may be unread when the loop is to be woken, and 1; 0: the loop does not wait

    public SequenceRequest Request => request;

    public PromptKeys Keys => keys;

    public long Submitted => submitted;

    /// <summary>The sequence itself, which outlives views; null before the loop has taken it on.</summary>
    public Sequence? Sequence { get; set; }

    /// <summary>The sequence in the scheduler that has it now; null before one has.</summary>
    public SequenceRun? Run { get; private set; }

    /// <summary>Keeps the request's adapter until the stream ends, or nobody reads it; null: it has none, or nobody keeps count.</summary>
    public AdapterUse? AdapterUse { get; init; }

    /// <summary>Begins to follow the form that the answer must have; null: there is none, or nothing is guessed.</summary>
    public Func<ForcedText>? Form { get; init; }

    /// <summary>It has to wait for others, because workers died with it (<see cref="Isolation"/>). Used by the loop only.</summary>
    public bool IsHeld { get; set; }

    /// <summary>Its place among those whose first turn is waited for. Used by the loop only.</summary>
    public LinkedListNode<SequenceStream>? Arrival { get; set; }

    /// <summary>Events that nobody has read yet.</summary>
    public int Unread => Volatile.Read(ref _written) - Volatile.Read(ref _read);

    /// <summary>Another scheduler has the sequence from now on, which knows nothing of it yet but its tokens.</summary>
    public void BeginRun() => Run = new SequenceRun(Sequence!, keys, Form?.Invoke());

    public async IAsyncEnumerable<SequenceEvent> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        while (await _events.Reader.WaitToReadAsync(cancellation))
            while (_events.Reader.TryRead(out var next))
            {
                Interlocked.Increment(ref _read);
                if (Volatile.Read(ref _waitedFor) is > 0 and var most && Unread < most && Interlocked.Exchange(ref _waitedFor, 0) > 0) wake();
                yield return next;
            }
    }

    /// <summary>Has the loop woken as soon as at most so many events are unread, which may be now.</summary>
    public void WakeAt(int unread)
    {
        Interlocked.Exchange(ref _waitedFor, unread + 1);
        // The reader may have read the last event just before.
        if (Unread <= unread && Interlocked.Exchange(ref _waitedFor, 0) > 0) wake();
    }

    public void Report(SequenceAdvance advance)
    {
        if (advance.Failure is { } why)
        {
            Fail($"the sequence failed: {why}", retryable: false);
            return;
        }
        if (!_begun) Write(new SequenceEvent.Begun(advance.Run.Sequence.CachedTokens ?? 0));
        _begun = true;
        if (advance.Prompt.Count > 0) Write(new SequenceEvent.Prompt(advance.Prompt));
        foreach (var token in advance.Tokens) Write(new SequenceEvent.Token(token));
        if (advance.Embedding.Count > 0) Write(new SequenceEvent.Embedded(advance.Embedding));
        if (advance.Finished is { } reason) EndWith(new SequenceEvent.Finished(reason) { Times = advance.Run.Sequence.Times });
    }

    public void Refuse(string message, Refusal why) => EndWith(new SequenceEvent.Refused(message, why));

    public void Fail(string message, bool retryable) => EndWith(new SequenceEvent.Failed(message, retryable));

    void EndWith(SequenceEvent last)
    {
        AdapterUse?.Dispose();
        Write(last);
        _events.Writer.TryComplete();
    }

    void Write(SequenceEvent happened)
    {
        Volatile.Write(ref _written, _written + 1);
        _events.Writer.TryWrite(happened);
    }
}
