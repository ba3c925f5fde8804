using System.Globalization;

namespace LlamaCluster.Text.Tokenization.Vocabularies;

/// <summary>How a vocabulary file writes down the bytes that a normal token stands for.</summary>
enum TokenSpelling
{
    /// <summary>One printable character for each byte (GPT-2, Llama 3): see <see cref="ByteAlphabet"/>.</summary>
    ByteLevel,

    /// <summary>UTF-8 in which U+2581 stands for a space (SentencePiece, Llama 1 and 2).</summary>
    SentencePiece,

    /// <summary>UTF-8 as it is.</summary>
    Plain,
}

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

/// <summary>
/// GPT-2's way to write any bytes as printable text: a byte that Latin-1 shows as a visible character is that character, the
/// other 68 are U+0100 and up in their order. A space is written U+0120, a line feed U+010A.
/// Source: <c>bytes_to_unicode</c> in https://github.com/openai/gpt-2/blob/master/src/encoder.py.
/// </summary>
static class ByteAlphabet
{
    const int FirstMoved = 0x100;
    const int End = FirstMoved + 68;

    /// <summary>The byte of a character below <see cref="End"/>; -1 for characters that stand for none.</summary>
    static readonly short[] Bytes = MakeBytes();

    /// <summary>False if a character stands for no byte, or the text is not UTF-8.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> written, Span<byte> raw, out int length)
    {
        length = 0;
        for (var at = 0; at < written.Length; at++)
        {
            int character = written[at];
            if (character >= 0x80)
            {
                // The alphabet ends below U+0800, so a character has one byte or two.
                if ((character & 0xE0) != 0xC0 || ++at == written.Length || (written[at] & 0xC0) != 0x80) return false;
                character = (character & 0x1F) << 6 | written[at] & 0x3F;
            }
            if (character >= End || Bytes[character] < 0) return false;
            raw[length++] = (byte)Bytes[character];
        }
        return true;
    }

    static short[] MakeBytes()
    {
        var bytes = new short[End];
        Array.Fill(bytes, (short)-1);
        var moved = FirstMoved;
        for (short value = 0; value < 256; value++) bytes[IsVisible(value) ? value : moved++] = value;
        return bytes;
    }

    static bool IsVisible(int latin1) => latin1 is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE and <= 0xFF;
}
