using System.Globalization;
using System.Text;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Operations;

/// <summary>Text as Python's repr() writes it: in single quotes where it can, what does not print as an escape.</summary>
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
