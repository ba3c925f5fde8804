namespace LlamaCluster.Coordinator.Scheduling.Speculation;

/// <summary>
/// Guesses how a sequence goes on from its own tokens, and learns how often it is right. A guess changes nothing but the time a text takes: the
/// step that follows samples each token as it would have without, and goes on for as long as the guess was the same.
/// </summary>
sealed class Drafter
{
    /// <summary>Tokens indexed for one draft; a long prompt takes some steps to be known in full, rather than hold one up.</summary>
    const int IndexedAtOnce = 2048;

    readonly NGramIndex _index = new();
    readonly AcceptanceRate _acceptance = new();

    /// <param name="tokens">All that are known.</param>
    /// <param name="rows">Of the step that the draft would be part of, without it.</param>
    /// <param name="most">Tokens wanted.</param>
    /// <returns>The next tokens, as far as there is a guess that is worth its cost.</returns>
    public int[] Draft(IReadOnlyList<int> tokens, long rows, int most)
    {
        var count = DraftLength.Worth(_acceptance.Value, rows, most);
        // Where even a sure guess is not worth it there is nothing to look up.
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
