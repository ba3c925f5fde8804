using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// Knows where in a sequence each run of three tokens stands last. What followed a run then is a good guess at what follows it now
/// (A. Saxena, "Prompt Lookup Decoding", 2023). The index grows with the sequence, at the same cost for each token.
/// </summary>
sealed class NGramIndex
{
    /// <summary>Tokens of a run. Shorter runs match by chance; longer ones seldom match.</summary>
    public const int RunLength = 3;

    readonly Dictionary<(int, int, int), int> _next = [];
    int _position = RunLength;

    /// <summary>Takes in at most so many of the runs before the last token that are not indexed yet.</summary>
    /// <returns>Whether all runs are indexed now.</returns>
    public bool Extend(TokenHistory tokens, int most)
    {
        for (; _position < tokens.Count && most > 0; _position++, most--) _next[RunBefore(tokens, _position)] = _position;
        return _position >= tokens.Count;
    }

    /// <returns>The position after the last earlier place of the run with which the sequence ends; null if there is none.</returns>
    public int? Find(TokenHistory tokens) =>
        tokens.Count > RunLength && _next.TryGetValue(RunBefore(tokens, tokens.Count), out var position) ? position : null;

    static (int, int, int) RunBefore(TokenHistory tokens, int position) => (tokens[position - 3], tokens[position - 2], tokens[position - 1]);
}
