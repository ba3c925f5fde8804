namespace LlamaCluster.Coordinator.Scheduling.Speculation;

/// <summary>
/// Where in a sequence each run of three tokens stands last, for prompt look-up: what followed a run then is a good guess at what follows it
/// now (A. Saxena, "Prompt Lookup Decoding", 2023). Grows with the sequence, at the same cost for each token.
/// </summary>
sealed class NGramIndex
{
    /// <summary>Tokens of a run: fewer match by chance, more seldom match.</summary>
    public const int RunLength = 3;

    readonly Dictionary<(int, int, int), int> _next = [];
    int _position = RunLength;

    /// <summary>Takes in the runs that a sequence has come to have before its last token, so many of them at most.</summary>
    /// <returns>Whether none is left.</returns>
    public bool Extend(IReadOnlyList<int> tokens, int most)
    {
        for (; _position < tokens.Count && most > 0; _position++, most--) _next[RunBefore(tokens, _position)] = _position;
        return _position >= tokens.Count;
    }

    /// <returns>The position after the last earlier place of the run with which the sequence ends; null if there is none.</returns>
    public int? Find(IReadOnlyList<int> tokens) =>
        tokens.Count > RunLength && _next.TryGetValue(RunBefore(tokens, tokens.Count), out var position) ? position : null;

    static (int, int, int) RunBefore(IReadOnlyList<int> tokens, int position) => (tokens[position - 3], tokens[position - 2], tokens[position - 1]);
}
