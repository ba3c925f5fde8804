using System.Globalization;
using System.Text;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.GoTemplates;

/// <summary>Go's printf with the verbs s, v, d, q, t and f, and with width, precision and the flags -, +, 0 and space.</summary>
/// <param name="given">The format itself, then its arguments.</param>
sealed class GoFormat(GoRendering rendering, BoundedText output, string format, IReadOnlyList<object?> given)
{
    const int MostWidth = 10_000;

    int _at;
    int _used = 1;

    public void Write()
    {
        while (_at < format.Length)
        {
            var percent = format.IndexOf('%', _at);
            output.Append(format.AsSpan(_at..(percent < 0 ? format.Length : percent)));
            _at = percent < 0 ? format.Length : percent + 1;
            if (percent >= 0) WriteVerb();
        }
        if (_used < given.Count) throw new UnsuitableArguments($"has {given.Count - 1} values for a format with {_used - 1}");
    }

    void WriteVerb()
    {
        rendering.Budget.Spend(1);
        var flags = _at;
        while (_at < format.Length && "-+ 0".Contains(format[_at])) _at++;
        var spec = format.AsSpan(flags.._at);
        var (isLeft, isSigned, isSpaced, isZero) = (spec.Contains('-'), spec.Contains('+'), spec.Contains(' '), spec.Contains('0'));
        var width = ReadNumber() ?? 0;
        int? precision = _at < format.Length && format[_at] == '.' ? ReadPrecision() : null;
        if (_at == format.Length) throw new UnsuitableArguments("has a format that ends within a verb");
        var verb = format[_at++];
        if (verb == '%' && _at - flags == 1)
        {
            output.Append('%');
            return;
        }
        if (_used == given.Count) throw new UnsuitableArguments($"has no value for the verb %{ErrorText.Show(verb.ToString())}");
        var value = given[_used++];
        var text = Text(verb, value, precision);
        var sign = value is long or double && !text.StartsWith('-') ? isSigned ? "+" : isSpaced ? " " : "" : "";
        Pad(sign + text, width, isLeft, isZero && !isLeft && value is long or double);
    }

    int ReadPrecision()
    {
        _at++;
        return ReadNumber() ?? 0;
    }

    int? ReadNumber()
    {
        var start = _at;
        while (_at < format.Length && char.IsAsciiDigit(format[_at])) _at++;
        if (_at == start) return null;
        return _at - start <= 5 && int.Parse(format.AsSpan(start.._at), CultureInfo.InvariantCulture) is var number && number <= MostWidth ? number
            : throw new UnsuitableArguments($"has a width or precision over {MostWidth}");
    }

    string Text(char verb, object? value, int? precision)
    {
        var wants = verb switch
        {
            's' => value is string or GoList or GoMap { Printing: GoPrinting.Json } or GoStruct { Printing: GoPrinting.Json },
            'v' => true,
            'd' => value is long,
            'q' => value is string,
            't' => value is bool,
            'f' => value is double,
            _ => throw new UnsuitableArguments($"does not support the verb %{ErrorText.Show(verb.ToString())}"),
        };
        if (!wants) throw new UnsuitableArguments($"cannot write {GoValue.TypeOf(value)} with %{verb}");
        if (precision is not null && (verb is not ('s' or 'f') || verb == 's' && value is not string))
            throw new UnsuitableArguments($"does not support a precision of %{verb} for {GoValue.TypeOf(value)}");
        if (verb == 'f') return Fixed((double)value!, precision ?? 6);
        if (verb == 'q') return Quoted((string)value!);
        if (precision is { } most) return Cut((string)value!, most);
        if (verb == 's' && value is GoList list && list.Items.Any(item => item is not string) && list.Printing == GoPrinting.Plain)
            throw new UnsuitableArguments("cannot write a list of other values than strings with %s");
        var text = new BoundedText(rendering.Budget);
        GoPrinter.Write(rendering, text, value);
        return text.ToString();
    }

    string Fixed(double number, int decimals)
    {
        rendering.Budget.Spend(FloatText.StepsFor(decimals));
        return FloatText.Fixed(number, decimals);
    }

    static string Cut(string text, int runes)
    {
        var units = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            if (runes-- == 0) break;
            units += rune.Utf16SequenceLength;
        }
        return text[..units];
    }

    string Quoted(string text)
    {
        rendering.Budget.SpendOnLetters(text.Length);
        var quoted = new BoundedText(rendering.Budget);
        quoted.Append('"');
        foreach (var rune in text.EnumerateRunes())
        {
            const string letters = "\a\b\f\n\r\t\v\\\"", escapes = "abfnrtv\\\"";
            var meaning = rune.IsBmp ? rendering.MeaningOf((char)rune.Value) : null;
            if (letters.IndexOf(meaning ?? (rune.IsBmp ? (char)rune.Value : ' ')) is >= 0 and var index) quoted.Append('\\').Append(escapes[index]);
            else if (meaning is not null || IsPrinted(rune)) quoted.Append(rune.ToString());
            else quoted.Append(rune.Value < 0x80 ? $"\\x{rune.Value:x2}" : rune.IsBmp ? $"\\u{rune.Value:x4}" : $"\\U{rune.Value:x8}");
        }
        return quoted.Append('"').ToString();
    }

    static bool IsPrinted(Rune rune) => rune.Value == ' ' || Rune.GetUnicodeCategory(rune) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.PrivateUse
        or UnicodeCategory.OtherNotAssigned or UnicodeCategory.SpaceSeparator or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator);

    /// <summary>Widths count characters. Zeros stand between the sign and the digits.</summary>
    void Pad(string text, int width, bool isLeft, bool isZero)
    {
        var missing = width - text.EnumerateRunes().Count();
        if (missing <= 0)
        {
            output.Append(text);
            return;
        }
        var signs = isZero && text[0] is '-' or '+' or ' ' ? 1 : 0;
        if (isLeft) output.Append(text).Append(' ', missing);
        else if (isZero) output.Append(text.AsSpan(0, signs)).Append('0', missing).Append(text.AsSpan(signs));
        else output.Append(' ', missing).Append(text);
    }
}
