using System.Text;

namespace LlamaCluster.Text.Grammars.Drafting;

/// <summary>
/// The tokens that a model would most likely write a piece of text with: those that its tokenizer makes of it. Pieces come again and again, as the names of a
/// schema's properties do, and are kept. One caller at a time.
/// </summary>
public sealed class DraftTokens(ITokenizer tokenizer)
{
    /// <summary>Pieces that are kept. When there are more, all are forgotten.</summary>
    const int MostKnown = 4096;

    readonly Dictionary<string, int[]> _known = [];
    readonly List<int> _ids = [];

    /// <summary>The bytes of a token as text; empty where it is none.</summary>
    internal ReadOnlySpan<byte> TextOf(int id) => tokenizer.IsControl(id) ? [] : tokenizer.BytesOf(id).Span;

    /// <summary>The tokens of a text that stands within another.</summary>
    internal int[] Of(ReadOnlySpan<byte> text)
    {
        var key = Encoding.Latin1.GetString(text);
        if (_known.TryGetValue(key, out var known)) return known;
        if (_known.Count == MostKnown) _known.Clear();
        return _known[key] = Encode(text);
    }

    int[] Encode(ReadOnlySpan<byte> text)
    {
        _ids.Clear();
        tokenizer.EncodeWithin(text, _ids);
        return [.. _ids];
    }
}
