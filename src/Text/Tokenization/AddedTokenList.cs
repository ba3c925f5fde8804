
using LlamaCluster.Primitives;

namespace LlamaCluster.Text.Tokenization;

/// <summary>Collects added tokens; refuses two that are written alike. One without text is left out: no text holds it.</summary>
/// <param name="field">What the tokens are read from, for messages.</param>
/// <param name="error">Makes an error that names the file, from a message that starts with a field.</param>
sealed class AddedTokenList(string field, Func<string, ModelFormatException> error)
{
    readonly Dictionary<string, int> _ids = [];
    readonly List<AddedToken> _tokens = [];

    public IReadOnlyList<AddedToken> Tokens => _tokens;

    public void Add(AddedToken token)
    {
        if (token.Written.Length == 0) return;
        if (!_ids.TryAdd(token.Written, token.Id))
            throw error($"{field}: tokens {_ids[token.Written]} and {token.Id} are the same, {ErrorText.Quote(token.Written)}");
        _tokens.Add(token);
    }
}
