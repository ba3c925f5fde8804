using System.Globalization;

namespace LlamaCluster.Text.Templates.Operations;

/// <summary>Numbers read from text as Python's int() and float() do: white space around and single underscores within are allowed.</summary>
static class NumberText
{
    public static long? ParseInteger(string text, int radix)
    {
        var digits = Whitespace.Trim(text);
        var isNegative = digits.StartsWith('-');
        if (isNegative || digits.StartsWith('+')) digits = digits[1..];
        var prefix = digits.Length > 2 && digits[0] == '0' ? char.ToLowerInvariant(digits[1]) : '\0';
        if ((prefix, radix) is ('x', 16) or ('o', 8) or ('b', 2)) digits = digits[2..].TrimStart('_');
        if (Plain(digits) is not { } plain) return null;
        var value = 0L;
        foreach (var character in plain)
        {
            var digit = char.IsAsciiLetter(character) ? char.ToLowerInvariant(character) - 'a' + 10 : CharUnicodeInfo.GetDecimalDigitValue(character);
            if (digit < 0 || digit >= radix || value > (long.MaxValue - digit) / radix) return null;
            value = value * radix + digit;
        }
        return isNegative ? -value : value;
    }

    public static double? ParseFloat(string text)
    {
        if (Plain(Whitespace.Trim(text)) is not { } plain) return null;
        var unsigned = plain.TrimStart('+', '-').ToLowerInvariant();
        if (unsigned.Length < plain.Length - 1) return null;
        double? value = unsigned switch
        {
            "inf" or "infinity" => double.PositiveInfinity,
            "nan" => double.NaN,
            _ => double.TryParse(unsigned, NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out var number) ? number : null,
        };
        return plain[0] == '-' ? -value : value;
    }

    /// <summary>The text without single underscores between digits; null where one stands elsewhere or nothing is left.</summary>
    static string? Plain(string text)
    {
        for (var i = 0; i < text.Length; i++)
            if (text[i] == '_' && (i == 0 || i == text.Length - 1 || text[i - 1] == '_')) return null;
        return text.Length == 0 ? null : text.Replace("_", "");
    }
}
