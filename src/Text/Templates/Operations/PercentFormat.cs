using System.Text.RegularExpressions;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Operations;

/// <summary>The old way of formatting: <c>"%s has %d" % (name, count)</c> and the <c>format</c> filter.</summary>
static partial class PercentFormat
{
    public static Value Apply(StringValue format, Value arguments, RenderContext context)
    {
        var values = arguments is TupleValue tuple ? tuple.Items : [arguments];
        var used = 0;
        var output = new BoundedText(context.Budget);
        var text = format.Text;
        var written = 0;
        foreach (Match match in Conversion().Matches(text))
        {
            output.Append(text.AsSpan(written..match.Index));
            written = match.Index + match.Length;
            if (match.ValueSpan is "%%") output.Append('%');
            else output.Append(Convert(match, Next(match), context));
        }
        output.Append(text.AsSpan(written));
        if (used < values.Length && arguments is not (DictionaryValue or ListValue or RangeValue)) throw new TemplateFault("not all arguments converted during string formatting");
        return new StringValue(output.ToString());

        Value Next(Match match)
        {
            if (match.Groups["key"] is { Success: true } key)
                return arguments is DictionaryValue named ? named.GetItem(new StringValue(key.Value)) ?? throw new TemplateFault($"no value for %({key.Value})")
                    : throw new TemplateFault("format requires a mapping");
            return used < values.Length ? values[used++] : throw new TemplateFault("not enough arguments for format string");
        }
    }

    static string Convert(Match match, Value value, RenderContext context)
    {
        var flags = match.Groups["flags"].Value;
        var type = match.Groups["type"].Length > 0 ? match.Groups["type"].Value[0] : throw new TemplateFault($"format '{match.Value}' is not supported");
        var left = flags.Contains('-');
        var spec = new FormatSpec(
            flags.Contains('0') && !left && type is not ('s' or 'r') ? '0' : ' ',
            left ? '<' : flags.Contains('0') && type is not ('s' or 'r') ? '=' : '>',
            flags.Contains('+') ? '+' : flags.Contains(' ') ? ' ' : '-',
            FormatSpec.Number(match.Groups["width"].Value) ?? 0,
            Thousands: false,
            FormatSpec.Number(match.Groups["precision"].Value),
            type is 'r' ? 's' : type is 'i' or 'u' ? 'd' : type);
        if (spec.Type == 's') return spec.Apply(type == 'r' ? Repr(value, context) : context.Text(context.TextOf(value)), context);
        if (!value.TryGetNumber(out var number)) throw (value as UndefinedValue)?.Fault() ?? new TemplateFault($"%{type} format: a number is required, not {value.TypeName}");
        if (spec.Type != 'd' || value is not FloatValue) return spec.Apply(value, context);
        return Math.Abs(number) < long.MaxValue ? spec.Apply(new IntegerValue((long)number), context)
            : throw new TemplateFault($"%{type} format: {FloatText.Repr(number)} does not fit a 64-bit integer");
    }

    static StringValue Repr(Value value, RenderContext context)
    {
        var output = new BoundedText(context.Budget);
        value.WriteRepr(output);
        return new StringValue(output.ToString());
    }

    [GeneratedRegex(@"%(?:%|(?:\((?<key>[^)]*)\))?(?<flags>[-+ 0#]*)(?<width>\d+)?(?:\.(?<precision>\d+))?(?<type>[sdiufFxXor])?)")]
    private static partial Regex Conversion();
}
