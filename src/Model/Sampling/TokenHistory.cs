namespace LlamaCluster.Model.Sampling;

/// <summary>The tokens of a sequence so far and how often each occurs, for penalties.</summary>
sealed class TokenHistory(int promptLength)
{
    readonly List<int> _tokens = [];
    readonly Dictionary<int, TokenUse> _uses = [];

    public int Count => _tokens.Count;

    /// <summary>Each token that occurs.</summary>
    public Dictionary<int, TokenUse> Uses => _uses;

    public void Add(ReadOnlySpan<int> tokens)
    {
        foreach (var token in tokens)
        {
            _tokens.Add(token);
            Change(token, _tokens.Count - 1, 1);
        }
    }

    /// <summary>Takes the last tokens back.</summary>
    public void Truncate(int count)
    {
        while (_tokens.Count > count)
        {
            Change(_tokens[^1], _tokens.Count - 1, -1);
            _tokens.RemoveAt(_tokens.Count - 1);
        }
    }

    void Change(int token, int position, int by)
    {
        var use = _uses.GetValueOrDefault(token);
        use = new(use.Total + by, use.Generated + (position >= promptLength ? by : 0));
        if (use.Total == 0) _uses.Remove(token);
        else _uses[token] = use;
    }
}

/// <param name="Total">Times that a token occurs in prompt and output.</param>
/// <param name="Generated">Times that it occurs in the output.</param>
readonly record struct TokenUse(int Total, int Generated);
