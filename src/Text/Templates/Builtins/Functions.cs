using System.Globalization;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>The functions that every template can call: those of Jinja2 and those that transformers adds.</summary>
static class Functions
{
    public static readonly IReadOnlyList<FunctionValue> All =
    [
        new("range", Range),
        new("dict", (context, arguments) => new DictionaryValue(Entries(context, arguments, "dict"), context.Budget)),
        new("namespace", Namespace),
        new("raise_exception", (context, arguments) => throw new TemplateFault(
            context.TextOf(arguments.Bind("raise_exception", "message")[0].Required("raise_exception", "message")), raisedByTemplate: true)),
        new("strftime_now", (context, arguments) => new StringValue(TimeFormat.Format(
            context.Now, arguments.Bind("strftime_now", "format")[0].Required("strftime_now", "format").AsText("strftime_now"), context.Budget))),
    ];

    static Value Range(ValueContext context, CallArguments arguments)
    {
        var bound = arguments.Bind("range", "start", "stop", "step");
        var first = bound[0].Required("range", "stop").AsInteger("range");
        var (start, stop) = bound[1] is null ? (0, first) : (first, bound[1]!.AsInteger("range"));
        var step = bound[2]?.AsInteger("range") ?? 1;
        if (step == 0) throw new TemplateFault("range() arg 3 must not be zero");
        var span = step > 0 ? (Int128)stop - start : (Int128)start - stop;
        var count = span <= 0 ? 0 : (span - 1) / Int128.Abs(step) + 1;
        if (count > TemplateLimits.RangeLength) throw new TemplateFault($"range() of more than {TemplateLimits.RangeLength:N0} elements is refused");
        return new RangeValue(start, stop, step, (int)count);
    }

    static Value Namespace(ValueContext context, CallArguments arguments)
    {
        var attributes = new Dictionary<string, Value>();
        foreach (var (key, value) in Entries(context, arguments, "namespace"))
        {
            context.Budget.MakeElements(1);
            KeyEquality.Pay(key, context.Budget);
            attributes[key.AsText("namespace")] = value;
        }
        return new NamespaceValue(attributes);
    }

    /// <summary>The entries of <c>dict(mapping or pairs, name=value...)</c>.</summary>
    static IEnumerable<KeyValuePair<Value, Value>> Entries(ValueContext context, CallArguments arguments, string function)
    {
        if (arguments.Positional.Count > 1) throw new TemplateFault($"{function} expected at most 1 argument, got {arguments.Positional.Count}");
        var source = arguments.Positional.Count == 0 ? [] : arguments.Positional[0] is DictionaryValue given ? given.Entries
            : context.Elements(arguments.Positional[0]).Select(pair => Pair(context, pair, function));
        foreach (var entry in source) yield return entry;
        foreach (var (name, value) in arguments.Named) yield return new(new StringValue(name), value);
    }

    static KeyValuePair<Value, Value> Pair(ValueContext context, Value value, string function) =>
        context.Elements(value).Take(3).ToArray() is [var key, var item] ? new(key, item)
        : throw new TemplateFault($"{function}() wants pairs of a key and a value");
}

/// <summary>Writes times by Python's strftime codes, with English names. %z and %Z give nothing, as for a time without a zone.</summary>
static class TimeFormat
{
    public static string Format(DateTimeOffset time, string format, Budget budget)
    {
        var text = new BoundedText(budget);
        for (var at = 0; at < format.Length; at++)
        {
            if (format[at] != '%' || at + 1 == format.Length)
            {
                text.Append(format[at]);
                continue;
            }
            var code = format[++at];
            // GNU's flags: no padding, padding with blanks, or padding with zeros.
            var flag = code is '-' or '_' or '0' && at + 1 < format.Length ? code : '\0';
            if (flag != '\0') code = format[++at];
            budget.Spend(1);
            text.Append(Pad(Field(time.DateTime, code, budget), flag));
        }
        return text.ToString();
    }

    static string Pad(string field, char flag)
    {
        if (flag is '\0' or '0' || !field.All(char.IsAsciiDigit)) return field;
        var digits = field.TrimStart('0', ' ');
        if (digits.Length == 0) digits = "0";
        return flag == '-' ? digits : digits.PadLeft(field.Length);
    }

    static string Field(DateTime time, char code, Budget budget) => code switch
    {
        'a' => Name(time, "ddd"),
        'A' => Name(time, "dddd"),
        'b' or 'h' => Name(time, "MMM"),
        'B' => Name(time, "MMMM"),
        'c' => Format(time, "%a %b %e %H:%M:%S %Y", budget),
        'C' => $"{time.Year / 100:00}",
        'd' => $"{time.Day:00}",
        'D' or 'x' => Format(time, "%m/%d/%y", budget),
        'e' => $"{time.Day,2}",
        'f' => $"{time.Ticks % TimeSpan.TicksPerSecond / 10:000000}",
        'F' => Format(time, "%Y-%m-%d", budget),
        'g' => $"{ISOWeek.GetYear(time) % 100:00}",
        'G' => $"{ISOWeek.GetYear(time)}",
        'H' => $"{time.Hour:00}",
        'I' => $"{(time.Hour + 11) % 12 + 1:00}",
        'j' => $"{time.DayOfYear:000}",
        'm' => $"{time.Month:00}",
        'M' => $"{time.Minute:00}",
        'n' => "\n",
        'p' => time.Hour < 12 ? "AM" : "PM",
        'r' => Format(time, "%I:%M:%S %p", budget),
        'R' => Format(time, "%H:%M", budget),
        'S' => $"{time.Second:00}",
        't' => "\t",
        'T' or 'X' => Format(time, "%H:%M:%S", budget),
        'u' => $"{((int)time.DayOfWeek + 6) % 7 + 1}",
        'U' => $"{(time.DayOfYear + 6 - (int)time.DayOfWeek) / 7:00}",
        'V' => $"{ISOWeek.GetWeekOfYear(time):00}",
        'w' => $"{(int)time.DayOfWeek}",
        'W' => $"{(time.DayOfYear + 6 - ((int)time.DayOfWeek + 6) % 7) / 7:00}",
        'y' => $"{time.Year % 100:00}",
        'Y' => $"{time.Year}",
        'z' or 'Z' => "",
        '%' => "%",
        _ => throw new TemplateFault($"the time code '%{code}' is not supported"),
    };

    static string Name(DateTime time, string format) => time.ToString(format, CultureInfo.InvariantCulture);

    static string Format(DateTime time, string format, Budget budget) => Format(new DateTimeOffset(time, TimeSpan.Zero), format, budget);
}
