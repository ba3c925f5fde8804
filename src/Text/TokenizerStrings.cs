using System.Runtime.InteropServices;
using System.Text;

namespace LlamaCluster.Text;

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
