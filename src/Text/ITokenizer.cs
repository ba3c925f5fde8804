using System.Runtime.InteropServices;
using System.Text;

namespace LlamaCluster.Text;

/// <summary>Turns text into token ids and back. Immutable and safe for concurrent use.</summary>
public interface ITokenizer
{
    int VocabularySize { get; }

    int? BosId { get; }

    int? EosId { get; }

    /// <summary>Ids after which generation stops: eos, end of turn, end of message.</summary>
    IReadOnlySet<int> StopIds { get; }

    /// <summary>Appends the ids of a text to <paramref name="ids"/>. The text is usually UTF-8, but any bytes are allowed.</summary>
    /// <param name="addSpecial">Add bos and eos where the model asks for them, unless the text already has them there as special tokens.</param>
    /// <param name="parseSpecial">Recognise special tokens written in the text; otherwise they are plain characters.</param>
    void Encode(ReadOnlySpan<byte> text, List<int> ids, bool addSpecial, bool parseSpecial);

    /// <summary>
    /// Appends the ids of a prompt whose special tokens count, but for those that would take in certain bytes: these are plain characters.
    /// </summary>
    /// <param name="words">Offsets of these bytes, ascending. A tokenizer that cannot tell recognises no special token where there are any.</param>
    void EncodePrompt(ReadOnlySpan<byte> text, List<int> ids, bool addSpecial, ReadOnlySpan<int> words) =>
        Encode(text, ids, addSpecial, parseSpecial: words.IsEmpty);

    /// <summary>The written forms of all special tokens.</summary>
    IEnumerable<string> SpecialWords => [];

    /// <summary>The exact bytes that an id stands for. A control token gives its written form, an unknown id nothing.</summary>
    ReadOnlyMemory<byte> BytesOf(int id);

    /// <summary>Whether an id is a control token, such as bos or end of turn, which is not part of the text that a user sees.</summary>
    bool IsControl(int id);

    /// <summary>
    /// Appends the bytes of a whole sequence of ids: the text that <see cref="Encode"/> was given, without the space that a
    /// SentencePiece vocabulary puts in front. Control tokens are left out unless <paramref name="includeControl"/> is set.
    /// </summary>
    void Decode(ReadOnlySpan<int> ids, List<byte> text, bool includeControl);

    /// <summary>The id of a special or plain token from its written form in the vocabulary; null if there is none.</summary>
    int? FindToken(string written);
}

/// <summary>Encoding and decoding of strings, for tokenizers that work on bytes.</summary>
public static class TokenizerStrings
{
    /// <summary>See <see cref="ITokenizer.Encode"/>. Half a surrogate pair becomes U+FFFD.</summary>
    public static List<int> Encode(this ITokenizer tokenizer, string text, bool addSpecial, bool parseSpecial)
    {
        List<int> ids = [];
        tokenizer.Encode(Encoding.UTF8.GetBytes(text), ids, addSpecial, parseSpecial);
        return ids;
    }

    /// <summary>
    /// Appends the ids of a text that stands within another, where no special token is read. A SentencePiece vocabulary puts a space in front of a text, and
    /// here it does not.
    /// </summary>
    public static void EncodeWithin(this ITokenizer tokenizer, ReadOnlySpan<byte> text, List<int> ids)
    {
        var first = ids.Count;
        // Behind a line feed, which no token of such a vocabulary goes on from, a text is as it would be within another.
        tokenizer.Encode([(byte)'\n', .. text], ids, addSpecial: false, parseSpecial: false);
        if (ids.Count > first && tokenizer.BytesOf(ids[first]).Span is [(byte)' ', ..])
        {
            var bytes = 0;
            for (var i = first; i <= ids.Count && bytes <= 2; i++)
            {
                if (bytes == 2)
                {
                    ids.RemoveRange(first, i - first);
                    return;
                }
                if (i < ids.Count) bytes += tokenizer.BytesOf(ids[i]).Length;
            }
        }
        ids.RemoveRange(first, ids.Count - first);
        tokenizer.Encode(text, ids, addSpecial: false, parseSpecial: false);
    }

    /// <summary>See <see cref="ITokenizer.Decode"/>. Bytes that are not UTF-8 become U+FFFD.</summary>
    public static string DecodeText(this ITokenizer tokenizer, ReadOnlySpan<int> ids, bool includeControl)
    {
        List<byte> bytes = [];
        tokenizer.Decode(ids, bytes, includeControl);
        return Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(bytes));
    }

    /// <summary>The ids of those of the written forms that are one token.</summary>
    public static IReadOnlySet<int> IdsOf(this ITokenizer tokenizer, IEnumerable<string> written) =>
        written.Select(tokenizer.FindToken).OfType<int>().ToHashSet();
}
