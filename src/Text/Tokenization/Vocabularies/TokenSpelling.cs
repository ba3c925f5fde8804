using System.Globalization;

namespace LlamaCluster.Text.Tokenization.Vocabularies;

/// <summary>How a vocabulary file writes the bytes that a normal token stands for.</summary>
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
    public static ReadOnlySpan<byte> SpaceMark => "\u2581"u8;

    /// <summary>Turns the written form of a normal token into the bytes that it stands for. Everything else then works on raw text.</summary>
    /// <param name="raw">At least as long as <paramref name="written"/>.</param>
    /// <param name="length">How many bytes were put into <paramref name="raw"/>.</param>
    /// <returns>False if no text has this written form, so that no text can become this token.</returns>
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

    // SentencePiece never writes a literal space, so no text becomes a token that has one.
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
/// GPT-2's way to write any bytes as printable text. A byte that is a visible character in Latin-1 is written as that character. The other
/// 68 are written as U+0100 and up, in their order. A space is written as U+0120, a line feed as U+010A.
/// Source: <c>bytes_to_unicode</c> in https://github.com/openai/gpt-2/blob/master/src/encoder.py.
/// </summary>
static class ByteAlphabet
{
    const int FirstMoved = 0x100;
    const int End = FirstMoved + 68;

    /// <summary>The byte of each character below <see cref="End"/>; -1 for characters that stand for no byte.</summary>
    static readonly short[] Bytes = MakeBytes();

    /// <summary>Turns written text into the bytes it stands for. False if a character stands for no byte or the text is not UTF-8.</summary>
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
