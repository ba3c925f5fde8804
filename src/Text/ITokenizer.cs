using System.Runtime.InteropServices;
using System.Text;

namespace LlamaCluster.Text;

/// <summary>Text to token ids and back. Immutable; safe for concurrent use.</summary>
public interface ITokenizer
{
    int VocabularySize { get; }

    int? BosId { get; }

    int? EosId { get; }

    /// <summary>Ids after which generation stops: eos, end of turn, end of message.</summary>
    IReadOnlySet<int> StopIds { get; }

    /// <summary>
    /// Appends the ids of UTF-8 (or any other) bytes to <paramref name="ids"/>.
    /// </summary>
    /// <param name="addSpecial">Add bos (and eos) where the model asks for them, unless the text has them there already as special tokens.</param>
    /// <param name="parseSpecial">Recognise special tokens written in the text; otherwise they are plain characters.</param>
    void Encode(ReadOnlySpan<byte> text, List<int> ids, bool addSpecial, bool parseSpecial);

    /// <summary>The exact bytes that an id stands for; for a control token its written form, for an unknown id nothing.</summary>
    ReadOnlyMemory<byte> BytesOf(int id);

    /// <summary>A control token such as bos or end of turn, which is not part of the text a user sees.</summary>
    bool IsControl(int id);

    /// <summary>
    /// Appends the bytes of a whole sequence of ids: what <see cref="Encode"/> had been given, without the space that a
    /// SentencePiece vocabulary puts in front. Control tokens are left out unless asked for.
    /// </summary>
    void Decode(ReadOnlySpan<int> ids, List<byte> text, bool includeControl);

    /// <summary>The id of a token as it is written in the vocabulary's special or plain tokens; null if there is none.</summary>
    int? FindToken(string written);
}

/// <summary>Tokenizers work on bytes; these work on strings.</summary>
public static class TokenizerStrings
{
    /// <summary>See <see cref="ITokenizer.Encode"/>. Half a surrogate pair becomes U+FFFD.</summary>
    public static List<int> Encode(this ITokenizer tokenizer, string text, bool addSpecial, bool parseSpecial)
    {
        List<int> ids = [];
        tokenizer.Encode(Encoding.UTF8.GetBytes(text), ids, addSpecial, parseSpecial);
        return ids;
    }

    /// <summary>See <see cref="ITokenizer.Decode"/>. Bytes that are not UTF-8 become U+FFFD.</summary>
    public static string DecodeText(this ITokenizer tokenizer, ReadOnlySpan<int> ids, bool includeControl)
    {
        List<byte> bytes = [];
        tokenizer.Decode(ids, bytes, includeControl);
        return Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(bytes));
    }
}
