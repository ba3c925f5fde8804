using System.Text;

namespace LlamaCluster.Text;

/// <summary>
/// Turns generated tokens into text as they come. It gives whole characters only: the bytes of an incomplete character wait for the
/// next token. Bytes that cannot become a character give U+FFFD, one for each maximal part as the Unicode standard advises (3.9,
/// "U+FFFD Substitution of Maximal Subparts"). All texts together are exactly what decoding all bytes at once gives. A generation
/// continues its prompt, so a space at the start of its first token stays. Not thread-safe.
/// </summary>
/// <param name="shown">Control tokens that are given as they are written. The others are left out.</param>
public sealed class TokenStreamDecoder(ITokenizer tokenizer, IReadOnlySet<int>? shown = null)
{
    readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    char[] _characters = new char[64];

    /// <summary>Takes the next token and returns the text that is now certain: often the token's own, sometimes none.</summary>
    public string Append(int id) => tokenizer.IsControl(id) && shown?.Contains(id) != true ? "" : Convert(tokenizer.BytesOf(id).Span, flush: false);

    /// <summary>The rest when no more tokens come: U+FFFD for an incomplete character, else nothing. The decoder can then be used again.</summary>
    public string Flush() => Convert([], flush: true);

    string Convert(ReadOnlySpan<byte> bytes, bool flush)
    {
        var most = Encoding.UTF8.GetMaxCharCount(bytes.Length);
        if (_characters.Length < most) _characters = new char[most];
        var count = _decoder.GetChars(bytes, _characters, flush);
        return count > 0 ? new string(_characters, 0, count) : "";
    }
}
