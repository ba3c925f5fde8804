namespace LlamaCluster.Text.Tokenization;

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
