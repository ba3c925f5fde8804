using System.Buffers;
using System.Globalization;
using System.Text;

namespace LlamaCluster.Text.Tokenization;

/// <summary>
/// Finds added tokens in text: the leftmost first, of those that start at one place the longest. Costs the length of the text
/// plus, at each place where a token could start, at most the length of the longest token.
/// </summary>
sealed class AddedTokenMatcher
{
    readonly AddedToken[] _tokens;
    readonly ByteTrie _trie;

    public AddedTokenMatcher(IEnumerable<AddedToken> tokens)
    {
        _tokens = [.. tokens];
        _trie = ByteTrie.Create(_tokens.Select((token, index) => (Encoding.UTF8.GetBytes(token.Written), index)));
    }

    /// <summary>The next token at or after <paramref name="from"/>, where the one before it ended.</summary>
    public bool TryFindNext(ReadOnlySpan<byte> text, int from, out AddedTokenMatch match)
    {
        for (var at = from; _trie.FindStart(text[at..]) is >= 0 and var skipped;)
        {
            at += skipped;
            if (!_trie.TryMatch(text[at..], out var length, out var index))
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
