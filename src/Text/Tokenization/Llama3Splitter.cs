using System.Buffers;
using System.Globalization;
using System.Text;

namespace LlamaCluster.Text.Tokenization;

/// <summary>
/// Cuts text into the pieces inside which Llama 3 merges. They are exactly the matches of <see cref="Expression"/>, found in linear time
/// on raw bytes. A byte that is not UTF-8 counts as a symbol. The methods are in the order of the expression's alternatives.
/// </summary>
static class Llama3Splitter
{
    /// <summary>The expression in Llama 3's tokenizer.json. It matches every character of any text.</summary>
    public const string Expression =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    const int MostDigits = 3;

    /// <summary>The length, in bytes, of the first piece of <paramref name="text"/>, which is not empty.</summary>
    public static int FirstPiece(ReadOnlySpan<byte> text)
    {
        if (Contraction(text) is > 0 and var contraction) return contraction;
        var first = CharacterClasses.First(text, out var width);
        if (first is CharacterClass.Letter) return EndOfRun(text, width, CharacterClass.Letter);
        if (first is CharacterClass.Number) return Digits(text, width);
        if (first is not CharacterClass.LineBreak && StartsWith(text[width..], CharacterClass.Letter))
            return EndOfRun(text, width, CharacterClass.Letter);
        if (first is CharacterClass.Other) return Symbols(text, width);
        if (text[0] == ' ' && StartsWith(text[width..], CharacterClass.Other)) return Symbols(text, width);
        return WhiteSpace(text);
    }

    /// <summary>The length of a contraction such as <c>'ll</c> that the text begins with; 0 if it begins with none.</summary>
    internal static int Contraction(ReadOnlySpan<byte> text)
    {
        // When case is ignored, U+017F, the long s, equals s.
        if (text.Length < 2 || text[0] != '\'') return 0;
        return (text[1] | 0x20, text.Length > 2 ? text[2] | 0x20 : 0) switch
        {
            ('s' or 't' or 'm' or 'd', _) => 2,
            ('r' or 'v', 'e') or ('l', 'l') => 3,
            _ => text[1..].StartsWith("\u017F"u8) ? 3 : 0,
        };
    }

    /// <summary>The end of up to three digits, of which the first ends at <paramref name="end"/>.</summary>
    internal static int Digits(ReadOnlySpan<byte> text, int end)
    {
        for (var count = 1; count < MostDigits && end < text.Length; count++)
        {
            if (CharacterClasses.First(text[end..], out var width) is not CharacterClass.Number) break;
            end += width;
        }
        return end;
    }

    static int Symbols(ReadOnlySpan<byte> text, int end)
    {
        end = EndOfRun(text, end, CharacterClass.Other);
        return EndOfRun(text, end, CharacterClass.LineBreak);
    }

    /// <summary>
    /// A run of white space goes up to its last line break. Without one it is the whole run; if text follows, the run leaves its last character to
    /// that text.
    /// </summary>
    internal static int WhiteSpace(ReadOnlySpan<byte> text)
    {
        var end = 0;
        var lastStart = 0;
        var afterLineBreak = 0;
        while (end < text.Length)
        {
            var character = CharacterClasses.First(text[end..], out var width);
            if (!character.IsWhiteSpace()) break;
            lastStart = end;
            end += width;
            if (character is CharacterClass.LineBreak) afterLineBreak = end;
        }
        if (afterLineBreak > 0) return afterLineBreak;
        return end == text.Length || lastStart == 0 ? end : lastStart;
    }

    static int EndOfRun(ReadOnlySpan<byte> text, int end, CharacterClass member)
    {
        while (end < text.Length && CharacterClasses.First(text[end..], out var width) == member) end += width;
        return end;
    }

    static bool StartsWith(ReadOnlySpan<byte> text, CharacterClass character) =>
        !text.IsEmpty && CharacterClasses.First(text, out _) == character;
}

/// <summary>The classes of characters that Llama 3's split expression distinguishes.</summary>
enum CharacterClass : byte
{
    /// <summary>None of the others: punctuation, symbols, marks, control characters, bytes that are not UTF-8.</summary>
    Other,

    /// <summary><c>\p{L}</c></summary>
    Letter,

    /// <summary><c>\p{N}</c></summary>
    Number,

    /// <summary><c>[\r\n]</c></summary>
    LineBreak,

    /// <summary><c>\s</c> without <c>[\r\n]</c></summary>
    Space,
}

static class CharacterClasses
{
    static readonly CharacterClass[] Ascii = [.. Enumerable.Range(0, 128).Select(value => Of(new Rune(value)))];

    /// <summary>Class and width in bytes of the first character. A byte that is not UTF-8 is a character of its own.</summary>
    public static CharacterClass First(ReadOnlySpan<byte> text, out int width)
    {
        if (text[0] < 128)
        {
            width = 1;
            return Ascii[text[0]];
        }
        if (Rune.DecodeFromUtf8(text, out var rune, out width) is OperationStatus.Done) return Of(rune);
        width = 1;
        return CharacterClass.Other;
    }

    public static bool IsWhiteSpace(this CharacterClass character) => character is CharacterClass.Space or CharacterClass.LineBreak;

    static CharacterClass Of(Rune rune) => rune.Value switch
    {
        '\r' or '\n' => CharacterClass.LineBreak,
        _ when Rune.IsWhiteSpace(rune) => CharacterClass.Space,
        _ => Rune.GetUnicodeCategory(rune) switch
        {
            UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
                or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter => CharacterClass.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => CharacterClass.Number,
            _ => CharacterClass.Other,
        },
    };
}
