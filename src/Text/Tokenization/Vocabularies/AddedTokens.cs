using System.Buffers;
using System.Globalization;
using System.Text;
using LlamaCluster.Primitives;

namespace LlamaCluster.Text.Tokenization.Vocabularies;

/// <summary>A token that is cut out of the text, as it is written, before anything else is done to the text.</summary>
sealed record AddedToken(int Id, string Written)
{
    /// <summary>Whether this is a control token, which is recognised only on request.</summary>
    public required bool IsSpecial { get; init; }

    /// <summary>Whether white space before the token becomes part of it.</summary>
    public bool StripsLeft { get; init; }

    /// <summary>Whether white space after the token becomes part of it.</summary>
    public bool StripsRight { get; init; }

    /// <summary>Whether the token is recognised only where no letter, digit, mark or low line stands next to it.</summary>
    public bool SingleWord { get; init; }
}

/// <summary>Collects added tokens. Two with the same written form are refused. One without text is left out, because no text contains it.</summary>
/// <param name="field">The field that the tokens are read from, for messages.</param>
/// <param name="error">Makes an error that names the file, from a message that starts with a field.</param>
sealed class AddedTokenList(string field, Func<string, ModelFormatException> error)
{
    readonly Dictionary<string, int> _ids = [];
    readonly List<AddedToken> _tokens = [];

    public IReadOnlyList<AddedToken> Tokens => _tokens;

    public void Add(AddedToken token)
    {
        if (token.Written.Length == 0) return;
        if (!_ids.TryAdd(token.Written, token.Id))
            throw error($"{field}: tokens {_ids[token.Written]} and {token.Id} are the same, {ErrorText.Quote(token.Written)}");
        _tokens.Add(token);
    }
}

/// <summary>An added token found in a text, including the white space that becomes part of it.</summary>
readonly record struct AddedTokenMatch(int Start, int End, int Id);

/// <summary>
/// Finds added tokens in text: the leftmost first, and of several that start at one place the longest. The cost is the length of the
/// text plus, at each place where a token could start, at most the length of the longest token.
/// </summary>
sealed class AddedTokenMatcher
{
    readonly AddedToken[] _tokens;
    readonly ByteTrie _trie;
    readonly ByteTrie _ordinary;

    public AddedTokenMatcher(IEnumerable<AddedToken> tokens)
    {
        _tokens = [.. tokens];
        var entries = _tokens.Select((token, index) => (Text: Encoding.UTF8.GetBytes(token.Written), Value: index)).ToArray();
        _trie = ByteTrie.Create(entries);
        _ordinary = ByteTrie.Create(entries.Where(entry => !_tokens[entry.Value].IsSpecial));
    }

    /// <summary>Finds the next token at or after <paramref name="from"/>, which is where the previous one ended.</summary>
    /// <param name="words">Offsets of bytes, ascending, that are never part of a special token.</param>
    public bool TryFindNext(ReadOnlySpan<byte> text, int from, ReadOnlySpan<int> words, out AddedTokenMatch match)
    {
        for (var at = from; _trie.FindStart(text[at..]) is >= 0 and var skipped;)
        {
            at += skipped;
            var isToken = _trie.TryMatch(text[at..], out var length, out var index);
            if (isToken && _tokens[index].IsSpecial && TakesIn(words, at, at + length)) isToken = _ordinary.TryMatch(text[at..], out length, out index);
            if (!isToken)
            {
                at++;
                continue;
            }
            var token = _tokens[index];
            if (!token.SingleWord || IsSingleWord(text, at, at + length))
            {
                match = new AddedTokenMatch(
                    token.StripsLeft ? WithoutSpaceAtEnd(text, from, at) : at,
                    token.StripsRight ? WithoutSpaceAtStart(text, at + length) : at + length,
                    token.Id);
                return true;
            }
            at += length;
        }
        match = default;
        return false;
    }

    /// <summary>The id of a token from its written form.</summary>
    public int? Find(ReadOnlySpan<byte> written) =>
        _trie.TryMatch(written, out var length, out var index) && length == written.Length ? _tokens[index].Id : null;

    static bool TakesIn(ReadOnlySpan<int> words, int start, int end)
    {
        if (words.IsEmpty) return false;
        var at = words.BinarySearch(start);
        if (at < 0) at = ~at;
        return at < words.Length && words[at] < end;
    }

    static bool IsSingleWord(ReadOnlySpan<byte> text, int start, int end)
    {
        var joinsLeft = Rune.DecodeLastFromUtf8(text[..start], out var before, out _) is OperationStatus.Done && IsWordCharacter(before);
        var joinsRight = Rune.DecodeFromUtf8(text[end..], out var after, out _) is OperationStatus.Done && IsWordCharacter(after);
        return !joinsLeft && !joinsRight;
    }

    static bool IsWordCharacter(Rune rune) => Rune.IsLetterOrDigit(rune) || Rune.GetUnicodeCategory(rune) is
        UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark
        or UnicodeCategory.ConnectorPunctuation or UnicodeCategory.LetterNumber;

    static int WithoutSpaceAtEnd(ReadOnlySpan<byte> text, int from, int end)
    {
        while (end > from && Rune.DecodeLastFromUtf8(text[from..end], out var rune, out var width) is OperationStatus.Done && Rune.IsWhiteSpace(rune))
            end -= width;
        return end;
    }

    static int WithoutSpaceAtStart(ReadOnlySpan<byte> text, int start)
    {
        while (Rune.DecodeFromUtf8(text[start..], out var rune, out var width) is OperationStatus.Done && Rune.IsWhiteSpace(rune))
            start += width;
        return start;
    }
}

/// <summary>Finds the longest of a few thousand strings at a place in a text. The children of a node are a linked list, since there are few.</summary>
sealed class ByteTrie
{
    const int None = -1;

    readonly List<Node> _nodes = [new(0)];
    SearchValues<byte> _firstBytes = SearchValues.Create(ReadOnlySpan<byte>.Empty);

    /// <summary>Builds a trie. If one string has several values, the last is kept.</summary>
    public static ByteTrie Create(IEnumerable<(byte[] Text, int Value)> entries)
    {
        var trie = new ByteTrie();
        var isFirst = new bool[256];
        foreach (var (text, value) in entries)
        {
            trie.Add(text, value);
            isFirst[text[0]] = true;
        }
        Span<byte> firstBytes = stackalloc byte[256];
        var count = 0;
        for (var value = 0; value < 256; value++)
            if (isFirst[value]) firstBytes[count++] = (byte)value;
        trie._firstBytes = SearchValues.Create(firstBytes[..count]);
        return trie;
    }

    /// <summary>The first place where an entry could start; -1 if there is none.</summary>
    public int FindStart(ReadOnlySpan<byte> text) => text.IndexOfAny(_firstBytes);

    /// <summary>The longest entry that the text starts with.</summary>
    public bool TryMatch(ReadOnlySpan<byte> text, out int length, out int value)
    {
        (length, value) = (0, None);
        var node = 0;
        for (var at = 0; at < text.Length && FindChild(node, text[at]) is not None and var child; at++)
        {
            node = child;
            if (_nodes[node].Value is not None and var found) (length, value) = (at + 1, found);
        }
        return length > 0;
    }

    void Add(ReadOnlySpan<byte> text, int value)
    {
        var node = 0;
        foreach (var label in text)
        {
            if (FindChild(node, label) is not None and var child)
            {
                node = child;
                continue;
            }
            _nodes.Add(new Node(label) { NextSibling = _nodes[node].FirstChild });
            _nodes[node] = _nodes[node] with { FirstChild = _nodes.Count - 1 };
            node = _nodes.Count - 1;
        }
        _nodes[node] = _nodes[node] with { Value = value };
    }

    int FindChild(int node, byte label)
    {
        var child = _nodes[node].FirstChild;
        while (child is not None && _nodes[child].Label != label) child = _nodes[child].NextSibling;
        return child;
    }

    readonly record struct Node(byte Label)
    {
        public int FirstChild { get; init; } = None;

        public int NextSibling { get; init; } = None;

        public int Value { get; init; } = None;
    }
}
