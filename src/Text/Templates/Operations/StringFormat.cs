using System.Globalization;
using System.Text.RegularExpressions;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Operations;

/// <summary>Python's older formatting: <c>"%s has %d" % (name, count)</c>, and the <c>format</c> filter.</summary>
static partial class PercentFormat
{
    public static Value Apply(StringValue format, Value arguments, ValueContext context)
    {
        var values = arguments is TupleValue tuple ? tuple.Items : [arguments];
        var used = 0;
        var output = new BoundedText(context.Budget);
        var text = format.Text;
        var written = 0;
        foreach (Match match in Conversion().Matches(text))
        {
            context.Budget.Spend(1);
            output.Append(text.AsSpan(written..match.Index));
            written = match.Index + match.Length;
            if (match.ValueSpan is "%%") output.Append('%');
            else output.Append(Convert(match, Next(match), context));
        }
        output.Append(text.AsSpan(written));
        if (used < values.Length && arguments is not (DictionaryValue or ListValue or RangeValue))
            throw new TemplateFault("not all arguments converted during string formatting");
        return new StringValue(output.ToString());

        Value Next(Match match)
        {
            if (match.Groups["key"] is { Success: true } key)
                return arguments is DictionaryValue named
                    ? named.GetItem(new StringValue(key.Value), context.Budget) ?? throw new TemplateFault($"no value for %({ErrorText.Show(key.Value)})")
                    : throw new TemplateFault("format requires a mapping");
            return used < values.Length ? values[used++] : throw new TemplateFault("not enough arguments for format string");
        }
    }

    static string Convert(Match match, Value value, ValueContext context)
    {
        var flags = match.Groups["flags"].Value;
        var type = match.Groups["type"].Length > 0 ? match.Groups["type"].Value[0]
            : throw new TemplateFault($"format {ErrorText.Quote(match.Value)} is not supported");
        var left = flags.Contains('-');
        var spec = new FormatSpec(
            flags.Contains('0') && !left && type is not ('s' or 'r') ? '0' : ' ',
            left ? '<' : flags.Contains('0') && type is not ('s' or 'r') ? '=' : '>',
            flags.Contains('+') ? '+' : flags.Contains(' ') ? ' ' : '-',
            FormatSpec.Number(match.Groups["width"].Value) ?? 0,
            Thousands: false,
            FormatSpec.Number(match.Groups["precision"].Value),
            type is 'r' ? 's' : type is 'i' or 'u' ? 'd' : type);
        if (spec.Type == 's') return spec.Apply(type == 'r' ? Repr(value, context) : new StringValue(context.TextOf(value)), context);
        if (!value.TryGetNumber(out var number))
            throw (value as UndefinedValue)?.Fault() ?? new TemplateFault($"%{type} format: a number is required, not {value.TypeName}");
        if (spec.Type != 'd' || value is not FloatValue) return spec.Apply(value, context);
        return Math.Abs(number) < long.MaxValue ? spec.Apply(new IntegerValue((long)number), context)
            : throw new TemplateFault($"%{type} format: {FloatText.Repr(number)} does not fit a 64-bit integer");
    }

    static StringValue Repr(Value value, ValueContext context)
    {
        var output = new BoundedText(context.Budget);
        value.WriteRepr(output);
        return new StringValue(output.ToString());
    }

    [GeneratedRegex(@"%(?:%|(?:\((?<key>[^)]*)\))?(?<flags>[-+ 0#]*)(?<width>[0-9]+)?(?:\.(?<precision>[0-9]+))?(?<type>[sdiufFxXor])?)")]
    private static partial Regex Conversion();
}

/// <summary>
/// The method <c>format</c> of text: <c>"{} of {n:02d}".format(a, n=3)</c>. A field names an argument; attributes and indices are not
/// supported.
/// </summary>
static class BraceFormat
{
    public static Value Apply(StringValue format, CallArguments arguments, ValueContext context)
    {
        var output = new BoundedText(context.Budget);
        var text = format.Text;
        var used = 0;
        for (var at = 0; at < text.Length; at++)
        {
            var character = text[at];
            if (character is not ('{' or '}')) output.Append(character);
            else if (at + 1 < text.Length && text[at + 1] == character) output.Append(text[at++]);
            else if (character == '}') throw new TemplateFault("single '}' encountered in format string");
            else
            {
                var end = text.IndexOf('}', at);
                if (end < 0) throw new TemplateFault("expected '}' before end of format string");
                context.Budget.Spend(1);
                context.Budget.SpendOnText(end - at);
                output.Append(Field(text[(at + 1)..end]));
                at = end;
            }
        }
        return new StringValue(output.ToString());

        string Field(string field)
        {
            var colon = field.IndexOf(':');
            var value = Find(colon < 0 ? field : field[..colon]);
            return FormatSpec.Parse(colon < 0 ? "" : field[(colon + 1)..]).Apply(value, context);
        }

        Value Find(string name)
        {
            if (arguments.Named.TryGetValue(name, out var named)) return named;
            var index = name.Length == 0 ? used++ : int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var given) ? given
                : throw new TemplateFault($"format has no argument {ErrorText.Quote(name)}");
            return index < arguments.Positional.Count ? arguments.Positional[index] : throw new TemplateFault($"format has no argument {index}");
        }
    }
}

/// <summary>
/// How <c>str.format</c> and <c>%</c> lay out one value: <c>[[fill]align][sign][0][width][,][.precision][type]</c> with the types
/// s, d, x, X, o, b, c, f, F and %.
/// </summary>
sealed partial record FormatSpec(char Fill, char Align, char Sign, int Width, bool Thousands, int? Precision, char Type)
{
    const int WidthLimit = 10_000;

    public static FormatSpec Parse(string spec)
    {
        var match = Pattern().Match(spec);
        if (!match.Success) throw new TemplateFault($"format {ErrorText.Quote(spec)} is not supported");
        var zero = match.Groups["zero"].Length > 0;
        return new FormatSpec(
            match.Groups["fill"].Length > 0 ? match.Groups["fill"].Value[0] : zero ? '0' : ' ',
            match.Groups["align"].Length > 0 ? match.Groups["align"].Value[0] : zero ? '=' : '\0',
            match.Groups["sign"].Length > 0 ? match.Groups["sign"].Value[0] : '-',
            Number(match.Groups["width"].Value) ?? 0,
            match.Groups["comma"].Length > 0,
            Number(match.Groups["precision"].Value),
            match.Groups["type"].Length > 0 ? match.Groups["type"].Value[0] : '\0');
    }

    /// <summary>A width or precision; null if none is written.</summary>
    public static int? Number(string digits) => digits.Length == 0 ? null
        : digits.Length < 6 && int.Parse(digits, CultureInfo.InvariantCulture) is var number && number <= WidthLimit ? number
        : throw new TemplateFault($"a format's width or precision is over {WidthLimit}");

    public string Apply(Value value, ValueContext context)
    {
        if (value is UndefinedValue undefined && Type is not ('\0' or 's')) throw undefined.Fault();
        if (value is StringValue || Type == 's' || !value.TryGetNumber(out var real)) return Pad(Text(value, context), "", '<');
        context.Budget.Spend(FloatText.StepsFor(Precision ?? 6));
        var (sign, digits) = value.TryGetInteger(out var integer) && Type is not ('f' or 'F' or '%') ? Integer(integer) : Real(real);
        return Pad(digits, sign, '>');
    }

    string Text(Value value, ValueContext context)
    {
        if (Type is not ('\0' or 's') || Align == '=') throw new TemplateFault($"format '{Type}' does not fit '{value.TypeName}'");
        var text = context.TextOf(value);
        return Precision < text.Length ? text[..Precision.Value] : text;
    }

    (string Sign, string Digits) Integer(long integer)
    {
        var magnitude = integer < 0 ? (ulong)-(integer + 1) + 1 : (ulong)integer;
        var digits = Type switch
        {
            '\0' or 'd' => Thousands ? magnitude.ToString("#,0", CultureInfo.InvariantCulture) : magnitude.ToString(CultureInfo.InvariantCulture),
            'x' => magnitude.ToString("x"),
            'X' => magnitude.ToString("X"),
            'b' => magnitude.ToString("b"),
            'o' => Convert.ToString((long)magnitude, 8),
            'c' when integer is >= 0 and <= 0x10ffff and not (>= 0xd800 and <= 0xdfff) => char.ConvertFromUtf32((int)integer),
            _ => throw new TemplateFault($"format '{Type}' is not supported for integers"),
        };
        return (SignOf(integer < 0), digits);
    }

    (string Sign, string Digits) Real(double real)
    {
        if (Type is not ('\0' or 'f' or 'F' or '%')) throw new TemplateFault($"format '{Type}' is not supported for floats");
        if (Type == '\0' && Precision is not null) throw new TemplateFault("a format with a precision needs the type f");
        var magnitude = Math.Abs(Type == '%' ? real * 100 : real);
        var digits = Type == '\0' || !double.IsFinite(real) ? FloatText.Repr(magnitude) : FloatText.Fixed(magnitude, Precision ?? 6);
        if (Thousands) digits = Separate(digits);
        return (SignOf(double.IsNegative(real) && !double.IsNaN(real)), Type == '%' ? digits + "%" : digits);
    }

    string SignOf(bool negative) => negative ? "-" : Sign is '+' or ' ' ? Sign.ToString() : "";

    static string Separate(string digits)
    {
        var end = digits.IndexOf('.') is var point && point >= 0 ? point : digits.Length;
        for (var at = end - 3; at > 0; at -= 3) digits = digits.Insert(at, ",");
        return digits;
    }

    string Pad(string body, string sign, char usual)
    {
        var missing = Width - new StringValue(sign + body).Count!.Value;
        if (missing <= 0) return sign + body;
        return (Align == '\0' ? usual : Align) switch
        {
            '<' => sign + body + new string(Fill, missing),
            '=' => sign + new string(Fill, missing) + body,
            '^' => new string(Fill, missing / 2) + sign + body + new string(Fill, missing - missing / 2),
            _ => new string(Fill, missing) + sign + body,
        };
    }

    [GeneratedRegex(
        @"^(?:(?<fill>.)?(?<align>[<>=^]))?(?<sign>[-+ ])?(?<zero>0)?(?<width>[0-9]+)?(?<comma>,)?(?:\.(?<precision>[0-9]+))?(?<type>[a-zA-Z%])?$",
        RegexOptions.Singleline)]
    private static partial Regex Pattern();
}
