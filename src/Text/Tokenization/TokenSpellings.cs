using System.Globalization;

namespace LlamaCluster.Text.Tokenization;

static class TokenSpellings
{
    static ReadOnlySpan<byte> SpaceMark => "\u2581"u8;

    /// <summary>
    /// Turns the written form of a normal token into the bytes it stands for, so that everything else works on raw text.
    /// </summary>
    /// <param name="raw">At least as long as <paramref name="written"/>.</param>
    /// <param name="length">Bytes put into <paramref name="raw"/>.</param>
    /// <returns>False if no text is written so, and no text can therefore become this token.</returns>
    public static bool TryDecode(this TokenSpelling spelling, ReadOnlySpan<byte> written, Span<byte> raw, out int length) => spelling switch
    {
        TokenSpelling.ByteLevel => ByteAlphabet.TryDecode(written, raw, out length),
        TokenSpelling.SentencePiece => TryUnmarkSpaces(written, raw, out length),
        _ => Copy(written, raw, out length),
    };

    /// <summary>Reads the written form of a byte token: <c>&lt;0x0A&gt;</c>.</summary>
    public static bool TryParseByte(ReadOnlySpan<byte> written, out byte value)
    {
        value = 0;
        return written.Length == 6 && written.StartsWith("<0x"u8) && written[5] == '>'
            && byte.TryParse(written[3..5], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }

    static bool Copy(ReadOnlySpan<byte> written, Span<byte> raw, out int length)
    {
        written.CopyTo(raw);
        length = written.Length;
        return true;
    }

    // A literal space is never written by SentencePiece: a token with one in it is no text's.
    static bool TryUnmarkSpaces(ReadOnlySpan<byte> written, Span<byte> raw, out int length)
    {
        length = 0;
        if (written.Contains((byte)' ')) return false;
        while (written.IndexOf(SpaceMark) is >= 0 and var mark)
        {
            written[..mark].CopyTo(raw[length..]);
            length += mark;
            raw[length++] = (byte)' ';
            written = written[(mark + SpaceMark.Length)..];
        }
        written.CopyTo(raw[length..]);
        length += written.Length;
        return true;
    }
}
