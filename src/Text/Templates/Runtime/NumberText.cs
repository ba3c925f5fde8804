using System.Globalization;
using System.Numerics;

namespace LlamaCluster.Text.Templates.Runtime;

/// <summary>Reads numbers from text as Python's int() and float() do: white space around and single underscores within are allowed.</summary>
static class NumberText
{
    const NumberStyles Decimal = NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;

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
            _ => double.TryParse(unsigned, Decimal, CultureInfo.InvariantCulture, out var number) ? number : null,
        };
        return plain[0] == '-' ? -value : value;
    }

    /// <summary>The text without single underscores between digits; null if one stands elsewhere or nothing is left.</summary>
    static string? Plain(string text)
    {
        for (var i = 0; i < text.Length; i++)
            if (text[i] == '_' && (i == 0 || i == text.Length - 1 || text[i - 1] == '_')) return null;
        return text.Length == 0 ? null : text.Replace("_", "");
    }
}

/// <summary>Writes and rounds floats as Python does, and writes them as Go does.</summary>
static class FloatText
{
    /// <summary>The shortest digits that read back as the same number; with an exponent below 1e-4 and from 1e16 on.</summary>
    public static string Repr(double number)
    {
        if (double.IsNaN(number)) return "nan";
        if (double.IsInfinity(number)) return number > 0 ? "inf" : "-inf";
        var (sign, digits, exponent) = Shortest(number);
        return exponent is < -4 or >= 16 ? sign + WithExponent(digits, exponent, leastDigits: 2)
            : digits.Length <= exponent + 1 ? sign + WithoutExponent(digits, exponent) + ".0"
            : sign + WithoutExponent(digits, exponent);
    }

    /// <summary>The shortest digits as Go's fmt prints them: with an exponent below 1e-4 and from 1e6 on.</summary>
    public static string GoText(double number)
    {
        if (double.IsNaN(number)) return "NaN";
        if (double.IsInfinity(number)) return number > 0 ? "+Inf" : "-Inf";
        var (sign, digits, exponent) = Shortest(number);
        return sign + (exponent is < -4 or >= 6 ? WithExponent(digits, exponent, leastDigits: 2) : WithoutExponent(digits, exponent));
    }

    /// <summary>The shortest digits of a finite number as Go's encoding/json writes them: with an exponent below 1e-6 and from 1e21 on.</summary>
    public static string GoJson(double number)
    {
        var (sign, digits, exponent) = Shortest(number);
        return sign + (exponent is < -6 or >= 21 ? WithExponent(digits, exponent, leastDigits: exponent < 0 ? 1 : 2) : WithoutExponent(digits, exponent));
    }

    static string WithExponent(string digits, int exponent, int leastDigits) =>
        digits[..1] + (digits.Length > 1 ? "." + digits[1..] : "") + (exponent < 0 ? "e-" : "e+")
        + Math.Abs(exponent).ToString(CultureInfo.InvariantCulture).PadLeft(leastDigits, '0');

    static string WithoutExponent(string digits, int exponent) => exponent switch
    {
        < 0 => "0." + new string('0', -exponent - 1) + digits,
        _ when digits.Length <= exponent + 1 => digits + new string('0', exponent + 1 - digits.Length),
        _ => digits[..(exponent + 1)] + "." + digits[(exponent + 1)..],
    };

    /// <summary>What <see cref="Fixed"/> or <see cref="Round"/> with so many decimals costs: the digits are computed exactly, all with all.</summary>
    public static long StepsFor(int decimals) => 16 + Math.Min(Math.Abs((long)decimals), 20_000) * Math.Min(Math.Abs((long)decimals), 20_000) / 4096;

    /// <summary>The number with a fixed count of decimals. An exact half is rounded to even.</summary>
    public static string Fixed(double number, int decimals)
    {
        var digits = BigInteger.Abs(Scaled(number, decimals)).ToString(CultureInfo.InvariantCulture).PadLeft(decimals + 1, '0');
        return (double.IsNegative(number) ? "-" : "") + (decimals == 0 ? digits : digits[..^decimals] + "." + digits[^decimals..]);
    }

    /// <summary>Rounds to a count of decimals; a negative count means tens, hundreds and so on. An exact half is rounded to even.</summary>
    public static double Round(double number, int decimals)
    {
        if (!double.IsFinite(number) || decimals > 330) return number;
        if (decimals < -310) return Math.CopySign(0, number);
        if (decimals >= 0) return double.Parse(Fixed(number, decimals), CultureInfo.InvariantCulture);
        return Math.CopySign((double)(Scaled(number, decimals) * BigInteger.Pow(10, -decimals)), number);
    }

    static (string Sign, string Digits, int Exponent) Shortest(double number)
    {
        // .NET finds the same shortest digits as Python, but puts point and exponent elsewhere.
        var written = Math.Abs(number).ToString("R", CultureInfo.InvariantCulture);
        var sign = double.IsNegative(number) ? "-" : "";
        var mark = written.IndexOf('E');
        var exponent = mark < 0 ? 0 : int.Parse(written[(mark + 1)..], CultureInfo.InvariantCulture);
        var mantissa = mark < 0 ? written : written[..mark];
        var point = mantissa.IndexOf('.') is var at && at >= 0 ? at : mantissa.Length;
        var all = mantissa.Replace(".", "");
        var digits = all.TrimStart('0');
        if (digits.Length == 0) return (sign, "0", 0);
        return (sign, digits.TrimEnd('0'), exponent + point - 1 - (all.Length - digits.Length));
    }

    /// <summary>number * 10^decimals as an integer, exactly computed and rounded half to even.</summary>
    static BigInteger Scaled(double number, int decimals)
    {
        var bits = BitConverter.DoubleToInt64Bits(number);
        var exponent = (int)(bits >> 52) & 0x7ff;
        BigInteger mantissa = (bits & 0xfffffffffffffL) | (exponent == 0 ? 0 : 1L << 52);
        var power = Math.Max(exponent, 1) - 1075;
        var numerator = mantissa * BigInteger.Pow(2, Math.Max(power, 0)) * BigInteger.Pow(10, Math.Max(decimals, 0));
        var denominator = BigInteger.Pow(2, Math.Max(-power, 0)) * BigInteger.Pow(10, Math.Max(-decimals, 0));
        var quotient = BigInteger.DivRem(numerator, denominator, out var rest);
        var half = (rest * 2).CompareTo(denominator);
        if (half > 0 || (half == 0 && !quotient.IsEven)) quotient += 1;
        return number < 0 ? -quotient : quotient;
    }
}
