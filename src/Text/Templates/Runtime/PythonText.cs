using System.Buffers;
using System.Globalization;
using System.Text;

namespace LlamaCluster.Text.Templates.Runtime;

/// <summary>White space as Python's strip() and split() see it: .NET's white space plus the four information separators.</summary>
static class Whitespace
{
    public static bool IsWhitespace(char character) => char.IsWhiteSpace(character) || character is >= '\x1c' and <= '\x1f';

    public static string Trim(string text)
    {
        var start = SkipForward(text, 0);
        return text[start..Math.Max(start, SkipBackward(text, text.Length))];
    }

    public static string TrimEnd(string text) => text[..SkipBackward(text, text.Length)];

    /// <summary>The first place from <paramref name="at"/> on where no white space stands.</summary>
    public static int SkipForward(string text, int at)
    {
        while (at < text.Length && IsWhitespace(text[at])) at++;
        return at;
    }

    /// <summary>The last place up to <paramref name="end"/> before which no white space stands.</summary>
    public static int SkipBackward(string text, int end)
    {
        while (end > 0 && IsWhitespace(text[end - 1])) end--;
        return end;
    }
}

/// <summary>
/// Upper and lower case letter by letter, by Unicode's simple mappings. Letters whose other case is several letters, such as the German
/// sharp s, stay as they are here; Python converts them.
/// </summary>
static class LetterCase
{
    public static string Capitalize(string text) => text.Length == 0 ? text : FirstUpper(text);

    /// <summary>Python's title(): a letter that follows no letter becomes upper case, all others lower case.</summary>
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

    /// <summary>Whether all letters that have a case are of lower case, and there is one.</summary>
    public static bool IsLower(string text) => HasCase(text, Rune.IsLower);

    /// <summary>The same of upper case.</summary>
    public static bool IsUpper(string text) => HasCase(text, Rune.IsUpper);

    static bool HasCase(string text, Func<Rune, bool> isCase)
    {
        var found = false;
        foreach (var rune in text.EnumerateRunes())
        {
            if (!IsCased(rune)) continue;
            if (!isCase(rune)) return false;
            found = true;
        }
        return found;
    }

    public static bool IsCased(Rune rune) => Rune.IsUpper(rune) || Rune.IsLower(rune) || Rune.GetUnicodeCategory(rune) == UnicodeCategory.TitlecaseLetter;

    static string FirstUpper(string text)
    {
        if (Rune.DecodeFromUtf16(text, out var first, out var length) != OperationStatus.Done) return text;
        return Rune.ToUpperInvariant(first) + text[length..].ToLowerInvariant();
    }
}

/// <summary>Text as Python's repr() writes it: in single quotes where possible, and with escapes for what does not print.</summary>
static class StringRepr
{
    public static void Write(string text, BoundedText output)
    {
        var quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        output.Append(quote);
        foreach (var rune in text.EnumerateRunes())
            switch (rune.Value)
            {
                case '\\': output.Append("\\\\"); break;
                case '\n': output.Append("\\n"); break;
                case '\r': output.Append("\\r"); break;
                case '\t': output.Append("\\t"); break;
                case var code when code == quote: output.Append('\\').Append(quote); break;
                case var code when Prints(rune): output.Append(rune.ToString()); break;
                case <= 0xff: output.Append($"\\x{rune.Value:x2}"); break;
                case <= 0xffff: output.Append($"\\u{rune.Value:x4}"); break;
                default: output.Append($"\\U{rune.Value:x8}"); break;
            }
        output.Append(quote);
    }

    static bool Prints(Rune rune) => rune.Value == ' ' || Rune.GetUnicodeCategory(rune) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or
        UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator);
}

/// <summary>Resolves the escapes of a string in a template, which are Python's. A backslash that starts no escape stays.</summary>
static class StringLiteral
{
    public static string Unescape(string written, int line)
    {
        if (!written.Contains('\\')) return written;
        var text = new StringBuilder(written.Length);
        for (var at = 0; at < written.Length;)
            if (written[at] == '\\') at += AppendEscape(text, written.AsSpan(at), line);
            else text.Append(written[at++]);
        return text.ToString();
    }

    /// <summary>Appends what an escape stands for; returns its length.</summary>
    static int AppendEscape(StringBuilder text, ReadOnlySpan<char> escape, int line)
    {
        switch (escape[1])
        {
            case '\n': return 2;
            case '\\' or '\'' or '"': text.Append(escape[1]); return 2;
            case 'a': text.Append('\a'); return 2;
            case 'b': text.Append('\b'); return 2;
            case 'f': text.Append('\f'); return 2;
            case 'n': text.Append('\n'); return 2;
            case 'r': text.Append('\r'); return 2;
            case 't': text.Append('\t'); return 2;
            case 'v': text.Append('\v'); return 2;
            case 'x': return AppendHex(text, escape, 2, line);
            case 'u': return AppendHex(text, escape, 4, line);
            case 'U': return AppendHex(text, escape, 8, line);
            case 'N': throw new TemplateFault("\\N{...} in a string is not supported; write the character itself", line);
            case >= '0' and <= '7': return AppendOctal(text, escape);
            default: text.Append('\\').Append(escape[1]); return 2;
        }
    }

    static int AppendHex(StringBuilder text, ReadOnlySpan<char> escape, int digits, int line)
    {
        var code = -1;
        if (escape.Length < digits + 2
            || !int.TryParse(escape.Slice(2, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out code) || code is < 0 or > 0x10ffff)
            throw new TemplateFault($"a string has a bad escape, '\\{escape[1]}'", line);
        if (code > 0xffff) text.Append(char.ConvertFromUtf32(code));
        else text.Append((char)code);
        return digits + 2;
    }

    static int AppendOctal(StringBuilder text, ReadOnlySpan<char> escape)
    {
        var code = 0;
        var length = 1;
        for (; length < 4 && length < escape.Length && escape[length] is >= '0' and <= '7'; length++) code = code * 8 + (escape[length] - '0');
        text.Append((char)code);
        return length;
    }
}
