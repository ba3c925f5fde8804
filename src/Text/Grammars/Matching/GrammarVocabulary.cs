using LlamaCluster.Text.Grammars.Automata;

namespace LlamaCluster.Text.Grammars.Matching;

/// <summary>
/// What grammars need to know of a model's tokens: the bytes of each, and which of them end an answer. Prepared so that masks are quick.
/// Immutable, and safe for concurrent use.
/// </summary>
public sealed class GrammarVocabulary
{
    /// <summary>Tokens of more plain characters are treated as the others.</summary>
    const int LongestPlain = 32;

    /// <summary>Bytes of a token. Longer ones are never let through.</summary>
    const int LongestText = 512;

    readonly int[] _endIds;
    readonly IReadOnlyList<ReadOnlyMemory<byte>> _texts;
    readonly ulong[][] _plain;

    /// <param name="size">V: ids are below it.</param>
    /// <param name="texts">By id, the bytes of a token; empty for tokens that are not text. There may be fewer than V.</param>
    /// <param name="endIds">Tokens that end an answer.</param>
    public GrammarVocabulary(int size, IReadOnlyList<ReadOnlyMemory<byte>> texts, IReadOnlyList<int> endIds)
    {
        Size = size;
        _texts = texts;
        _endIds = [.. endIds];
        var tokens = new List<(ReadOnlyMemory<byte> Text, int Id)>();
        for (var id = 0; id < Math.Min(size, texts.Count); id++)
            if (texts[id].Length is > 0 and <= LongestText && !endIds.Contains(id)) tokens.Add((texts[id], id));
        tokens.Sort((a, b) => a.Text.Span.SequenceCompareTo(b.Text.Span) is not 0 and var order ? order : a.Id.CompareTo(b.Id));
        All = TokenTrie.Of(tokens);

        _plain = [.. Enumerable.Range(0, LongestPlain + 1).Select(_ => new ulong[Words])];
        var others = new List<(ReadOnlyMemory<byte> Text, int Id)>();
        foreach (var token in tokens)
        {
            if (PlainText.Characters(token.Text.Span) is <= LongestPlain and var characters) _plain[characters][token.Id / 64] |= 1UL << token.Id;
            else others.Add(token);
        }
        for (var characters = 1; characters <= LongestPlain; characters++) Or(_plain[characters - 1], _plain[characters]);
        NotPlain = TokenTrie.Of(others);
    }

    public int Size { get; }

    /// <summary>64-bit words of a mask.</summary>
    internal int Words => (Size + 63) / 64;

    internal ReadOnlySpan<int> EndIds => _endIds;

    /// <summary>The bytes of a token; empty where it is not text.</summary>
    internal ReadOnlySpan<byte> TextOf(int id) => id < _texts.Count ? _texts[id].Span : [];

    /// <summary>All tokens that are text.</summary>
    internal TokenTrie All { get; }

    /// <summary>Those of them that are not among the sets of plain tokens.</summary>
    internal TokenTrie NotPlain { get; }

    /// <summary>The plain tokens of at most so many characters.</summary>
    internal ReadOnlySpan<ulong> PlainUpTo(int characters) => _plain[Math.Clamp(characters, 0, LongestPlain)];

    public static GrammarVocabulary Of(ITokenizer tokenizer, int size) => new(
        size,
        [.. Enumerable.Range(0, Math.Min(size, tokenizer.VocabularySize)).Select(id => tokenizer.IsControl(id) ? default : tokenizer.BytesOf(id))],
        [.. tokenizer.StopIds.Where(id => id < size)]);

    internal static void Or(ReadOnlySpan<ulong> source, Span<ulong> target)
    {
        for (var i = 0; i < source.Length; i++) target[i] |= source[i];
    }
}
