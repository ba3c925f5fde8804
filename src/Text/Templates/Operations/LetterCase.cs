using System.Buffers;
using System.Globalization;
using System.Text;

namespace LlamaCluster.Text.Templates.Operations;

/// <summary>
/// Upper and lower case letter by letter, by Unicode's simple mappings. (Python also knows letters whose other case is several, such
/// as the German sharp s; they stay as they are here.)
/// </summary>
static class LetterCase
{
    public static string Capitalize(string text) => text.Length == 0 ? text : FirstUpper(text);

    /// <summary>Python's title(): a letter after anything but a letter is upper case, the others lower.</summary>
    public static string Title(string text)
    {
        var title = new StringBuilder(text.Length);
        var inWord = false;
        foreach (var rune in text.EnumerateRunes())
        {
            title.Append((inWord ? Rune.ToLowerInvariant(rune) : Rune.ToUpperInvariant(rune)).ToString());
            inWord = IsCased(rune);
        }
        return title.ToString();
    }

    /// <summary>Jinja2's title filter: a word starts after white space, a hyphen or an opening bracket.</summary>
    public static string TitleWords(string text)
    {
        var title = new StringBuilder(text.Length);
        var start = 0;
        for (var at = 0; at <= text.Length; at++)
        {
            if (at < text.Length && !(text[at] is '-' or '(' or '{' or '[' or '<' || Whitespace.IsWhitespace(text[at]))) continue;
            if (at > start) title.Append(FirstUpper(text[start..at]));
            if (at < text.Length) title.Append(text[at]);
            start = at + 1;
        }
        return title.ToString();
    }

    public static string Swap(string text)
    {
        var swapped = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
            swapped.Append((Rune.IsUpper(rune) ? Rune.ToLowerInvariant(rune) : Rune.ToUpperInvariant(rune)).ToString());
        return swapped.ToString();
    }

    public static bool IsCased(Rune rune) => Rune.IsUpper(rune) || Rune.IsLower(rune) || Rune.GetUnicodeCategory(rune) == UnicodeCategory.TitlecaseLetter;

    static string FirstUpper(string text)
    {
        if (Rune.DecodeFromUtf16(text, out var first, out var length) != OperationStatus.Done) return text;
        return Rune.ToUpperInvariant(first) + text[length..].ToLowerInvariant();
    }
}
