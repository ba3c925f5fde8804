using System.Globalization;
using System.Text;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Parsing;

/// <summary>Undoes the escapes of a string in a template, which are Python's; a backslash before anything else stays.</summary>
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
        var isWhole = escape.Length >= digits + 2;
        if (!isWhole || !int.TryParse(escape.Slice(2, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code) || code is < 0 or > 0x10ffff)
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
