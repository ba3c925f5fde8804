using System.Text;

namespace LlamaCluster.Text;

/// <summary>
/// Turns generated tokens into text as they come. What it gives is always whole characters: bytes of a character that is not
/// complete yet wait for the next token. Bytes that cannot become a character are U+FFFD, one for each maximal part of one as the
/// Unicode standard (3.9, "U+FFFD Substitution of Maximal Subparts") advises; all parts together are exactly what decoding all bytes
/// at once gives. A generation continues its prompt, so a space that its first token starts with stays. Not thread-safe.
/// </summary>
/// <param name="includeControl">Give control tokens as they are written instead of leaving them out.</param>
public sealed class TokenStreamDecoder(ITokenizer tokenizer, bool includeControl = false)
{
    readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    char[] _characters = new char[64];

    /// <summary>The text that is certain now that this token has come; often that of the token, sometimes none.</summary>
    public string Append(int id) => !includeControl && tokenizer.IsControl(id) ? "" : Convert(tokenizer.BytesOf(id).Span, flush: false);

    /// <summary>What is left when no more tokens come: U+FFFD for the start of a character, else nothing. The decoder is as new then.</summary>
    public string Flush() => Convert([], flush: true);

    string Convert(ReadOnlySpan<byte> bytes, bool flush)
    {
        var most = Encoding.UTF8.GetMaxCharCount(bytes.Length);
        if (_characters.Length < most) _characters = new char[most];
        var count = _decoder.GetChars(bytes, _characters, flush);
        return count > 0 ? new string(_characters, 0, count) : "";
    }
}
