using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Peers;

/// <summary>How far a sequence is, whichever replicas have run it: what a next one needs to go on as if nothing had happened.</summary>
sealed class SequenceProgress(SequenceRequest request)
{
    readonly List<int> _generated = [.. request.SoFar?.Generated ?? []];
    SequenceEvent.Begun? _begun;
    int _promptDelivered = request.SoFar?.PromptDelivered ?? 0;
    int _losses;
    bool _embedded;

    public bool HasBegun => _begun is not null;

    /// <summary>Tokens that were generated.</summary>
    public int Generated => _generated.Count;

    /// <summary>When it began to wait for another replica, as a timestamp; null: it does not.</summary>
    public long? WaitingSince { get; set; }

    /// <summary>Its end, if the last of it has come; null: it has more to get.</summary>
    public SequenceEvent? End =>
        _generated.Count > 0 && request.StopIds.Contains(_generated[^1]) ? new SequenceEvent.Finished(FinishReason.Stop)
        : _embedded || (_generated.Count > 0 && _generated.Count >= request.MaxTokens) ? new SequenceEvent.Finished(FinishReason.Length)
        : null;

    /// <summary>Takes note of an event.</summary>
    /// <returns>What the reader is to be told of it.</returns>
    public SequenceEvent Take(SequenceEvent happened, string replica)
    {
        switch (happened)
        {
            case SequenceEvent.Begun begun:
                // The reader learns which replica runs it now. What it began with stays what it was.
                return _begun = (_begun ?? begun) with { Replica = replica };
            case SequenceEvent.Prompt prompt:
                _promptDelivered += prompt.Tokens.Count;
                break;
            case SequenceEvent.Embedded:
                _embedded = true;
                break;
            case SequenceEvent.Token token:
                _generated.Add(token.Sampled.Id);
                (_losses, WaitingSince) = (0, null);
                break;
        }
        return happened;
    }

    /// <summary>Its replica was lost.</summary>
    /// <returns>How often in a row that was so, with no token between.</returns>
    public int Lose() => ++_losses;

    /// <summary>What is left to do.</summary>
    public SequenceRequest Rest() => request with
    {
        SoFar = _generated.Count == 0 && _promptDelivered == 0 ? null : new SequenceSoFar([.. _generated], _promptDelivered),
        KvAt = null,
    };
}
