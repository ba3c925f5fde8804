using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// Guesses how a sequence goes on from its own tokens, and learns how often the guess is right. A guess changes only the time that a text takes:
/// the step that verifies it samples each token as it would have without the guess, and goes on for as long as both are the same.
/// </summary>
sealed class Drafter
{
    /// <summary>Tokens indexed for one draft. A long prompt is indexed over several steps, so that it does not hold one up.</summary>
    const int IndexedAtOnce = 2048;

    readonly NGramIndex _index = new();
    readonly AcceptanceRate _acceptance = new();

    /// <param name="tokens">All that are known.</param>
    /// <param name="rows">Rows of the step without the draft.</param>
    /// <param name="most">Tokens wanted.</param>
    /// <returns>The guessed tokens that are worth their cost; may be empty.</returns>
    public int[] Draft(TokenHistory tokens, long rows, int most)
    {
        var count = DraftLength.Worth(_acceptance.Value, rows, most);
        // If even a sure guess is not worth its cost, nothing needs to be looked up.
        if (count == 0 && DraftLength.Worth(1, rows, most) == 0) return [];
        if (!_index.Extend(tokens, IndexedAtOnce) || _index.Find(tokens) is not { } next) return [];
        if (count == 0) _acceptance.Recover();
        var draft = new int[count];
        for (var i = 0; i < count; i++, next++) draft[i] = next < tokens.Count ? tokens[next] : draft[next - tokens.Count];
        return draft;
    }

    /// <summary>The step has returned that verified a draft.</summary>
    public void Verified(int drafted, int accepted) => _acceptance.Verified(drafted, accepted);
}

/// <summary>
/// The probability that a sequence's next drafted token is the one that will be sampled. It is learnt from the drafts before: a moving mean
/// over the last that were looked at. A rate so low that nothing is drafted any more comes back slowly, so that drafting is tried again.
/// </summary>
sealed class AcceptanceRate
{
    const double First = 0.5;
    const double Weight = 1.0 / 8;
    const double Recovery = 1.0 / 64;

    public double Value { get; private set; } = First;

    /// <summary>Drafts were verified: all that were accepted, and the first that was not, have been looked at.</summary>
    public void Verified(int drafted, int accepted)
    {
        for (var i = 0; i < accepted; i++) Value += (1 - Value) * Weight;
        if (accepted < drafted) Value -= Value * Weight;
    }

    /// <summary>There was something to draft, but it did not seem worth it.</summary>
    public void Recover() => Value = Math.Max(Value, Value + (First - Value) * Recovery);
}
