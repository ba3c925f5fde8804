using System.Buffers;
using System.Globalization;
using System.Text;

namespace LlamaCluster.Text.Tokenization.Splitting;

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
