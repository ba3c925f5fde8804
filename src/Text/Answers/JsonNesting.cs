namespace LlamaCluster.Text.Answers;

/// <summary>Finds the end of a JSON object that comes character by character. Brackets in strings do not count; nothing else is checked.</summary>
struct JsonNesting
{
    int _depth;
    bool _quoted;
    bool _escaped;

    /// <returns>The character closes the outermost bracket.</returns>
    public bool Closes(char letter)
    {
        if (_quoted)
        {
            if (!_escaped && letter == '"') _quoted = false;
            _escaped = _quoted && !_escaped && letter == '\\';
            return false;
        }
        _quoted = letter == '"';
        if (letter is '{' or '[') _depth++;
        return letter is '}' or ']' && --_depth == 0;
    }
}
