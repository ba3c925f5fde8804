using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using LlamaCluster.Coordinator;
using LlamaCluster.Kernels.Attention;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Cli.Commands;

/// <summary>Numbers on the command line.</summary>
static class NumberOption
{
    /// <exception cref="InvalidOptionsException">The value is out of range.</exception>
    public static int Check(string option, int value, int least, int most)
        => value >= least && value <= most ? value : throw new InvalidOptionsException($"{option} is {value}; it must be from {least} to {most}");
}

/// <summary>Says what is wrong with a value that is none of its option's type. The library's own words name a type of .NET.</summary>
static class ValueProblem
{
    /// <returns>One line that names the option, the value and what is allowed; null if the error is of another kind.</returns>
    public static string? Of(ParseError error)
    {
        for (var symbol = error.SymbolResult; symbol is not null; symbol = symbol.Parent)
            if (symbol is OptionResult { Tokens: [var token] } result && Expected(result.Option.ValueType, token.Value) is { } expected)
                return $"{result.Option.Name} is '{token.Value}'; it must be {expected}.";
        return null;
    }

    /// <summary>What a value of this type looks like; null if the text is one.</summary>
    static string? Expected(Type type, string text) => Type.GetTypeCode(Nullable.GetUnderlyingType(type) ?? type) switch
    {
        _ when type.IsEnum => null,
        TypeCode.Int32 => int.TryParse(text, CultureInfo.InvariantCulture, out _) ? null : $"a whole number such as 4, at most {int.MaxValue}",
        TypeCode.UInt64 => ulong.TryParse(text, CultureInfo.InvariantCulture, out _) ? null : $"a whole number from 0 to {ulong.MaxValue}",
        TypeCode.Double => double.TryParse(text, CultureInfo.InvariantCulture, out _) ? null : "a number such as 0.7",
        TypeCode.Single => float.TryParse(text, CultureInfo.InvariantCulture, out _) ? null : "a number such as 0.7",
        _ => null,
    };
}

/// <summary>An option whose value is an amount of memory: a number of bytes, alone or with a unit.</summary>
static class SizeOption
{
    public static Option<long?> Create(string name, string description) => new(name)
    {
        HelpName = "BYTES",
        Description = $"{description} (such as 8GB or 7.5GiB)",
        CustomParser = result =>
        {
            var written = result.Tokens[0].Value;
            if (long.TryParse(written, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes)) return bytes;
            if (Quantity.Parse(written, Quantity.Memory) is >= 1 and < long.MaxValue and var amount) return (long)amount;
            var units = string.Join(", ", Quantity.Memory.Select(unit => unit.Unit));
            result.AddError($"{name} is '{written}'; it must be a number of bytes such as 8000000000, or one with a unit ({units}) such as 8GB or 7.5GiB.");
            return null;
        },
    };
}

/// <summary>An option whose value is a length of time. To the library it is a text, as <see cref="WordOption{T}"/> is.</summary>
sealed class DurationOption : Option<string>
{
    readonly TimeSpan _otherwise;
    readonly bool _orZero;

    /// <param name="otherwise">What it is where it is not given.</param>
    /// <param name="orZero">0 is allowed too.</param>
    public DurationOption(string name, string description, TimeSpan otherwise, bool orZero = false) : base(name)
    {
        (_otherwise, _orZero) = (otherwise, orZero);
        HelpName = "TIME";
        Description = $"{description} (such as 90s or 10min)";
        DefaultValueFactory = _ => Written(otherwise);
        CustomParser = result =>
        {
            var written = result.Tokens[0].Value;
            if (Find(written) is null) result.AddError($"{name} is '{written}'; it must be {Form()} such as 90s or 10min.");
            return written;
        };
    }

    /// <summary>
    /// The time that was asked for. The default is not read from its text, since that would load the library of regular expressions at every start.
    /// </summary>
    public TimeSpan In(ParseResult parsed) => parsed.GetResult(this) is { Implicit: false } ? Find(parsed.GetRequiredValue(this)) ?? _otherwise : _otherwise;

    TimeSpan? Find(string written)
    {
        var isPlain = double.TryParse(written, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var plain);
        var seconds = isPlain ? plain : Quantity.Parse(written, Quantity.Time);
        return seconds is > 0 and < 1e9 || (_orZero && seconds is 0) ? TimeSpan.FromSeconds(seconds.Value) : null;
    }

    string Form() =>
        $"{(_orZero ? "0, " : "")}a number of seconds such as 60, or one with a unit ({string.Join(", ", Quantity.Time.Select(unit => unit.Unit))})";

    /// <summary>With the largest unit that gives a whole number.</summary>
    static string Written(TimeSpan time)
    {
        if (time == TimeSpan.Zero) return "0";
        var (unit, length) = Quantity.Time[0];
        for (var i = 1; i < Quantity.Time.Count; i++)
            if (time.TotalSeconds / Quantity.Time[i].Factor is >= 1 and var count && count == Math.Floor(count)) (unit, length) = Quantity.Time[i];
        return string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds / length:0.###}{unit}");
    }
}

/// <summary>
/// An option with a few words to choose from. To the library it is a text: an option of each value's own type would have to be compiled at every start.
/// </summary>
sealed class WordOption<T> : Option<string> where T : struct
{
    readonly (string Word, T Value)[] _values;

    /// <param name="values">The words and their meanings, the default first.</param>
    public WordOption(string name, string description, params (string Word, T Value)[] values) : base(name)
    {
        _values = values;
        HelpName = Words("|");
        Description = description;
        DefaultValueFactory = _ => values[0].Word;
        CustomParser = result =>
        {
            var written = result.Tokens[0].Value;
            if (Find(written) is null) result.AddError($"{name} is '{written}'; it must be {Words(", ")}.");
            return written;
        };
    }

    /// <summary>What was chosen.</summary>
    public T In(ParseResult parsed) => Find(parsed.GetValue(this)) ?? _values[0].Value;

    T? Find(string? written)
    {
        foreach (var (word, value) in _values)
            if (word.Equals(written, StringComparison.OrdinalIgnoreCase)) return value;
        return null;
    }

    string Words(string separator)
    {
        var words = new string[_values.Length];
        for (var i = 0; i < words.Length; i++) words[i] = _values[i].Word;
        return string.Join(separator, words);
    }
}

/// <summary>--kv-type, for every command that keeps keys and values or reckons with them.</summary>
static class KvTypeOption
{
    public static WordOption<KvType> Create() => new(
        "--kv-type", "how keys and values are kept: f32 rounds nothing and takes twice as much memory as f16, q8_0 about half as much, q4_0 about a quarter",
        ("f16", KvType.F16), ("f32", KvType.F32), ("q8_0", KvType.Q8_0), ("q4_0", KvType.Q4_0));

    /// <summary>As the coordinator and the planner know it.</summary>
    public static Wire.KvType ToWire(KvType type) => type switch
    {
        KvType.F32 => Wire.KvType.F32,
        KvType.F16 => Wire.KvType.F16,
        KvType.Q8_0 => Wire.KvType.Q80,
        KvType.Q4_0 => Wire.KvType.Q40,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a KV type"),
    };
}

/// <summary>An option whose value is the http or https address of a running process. Addresses to listen on stay text until the host parses them.</summary>
static class UrlOption
{
    public static Option<Uri> Create(string name, string description, string? otherwise = null)
    {
        var option = new Option<Uri>(name)
        {
            HelpName = "URL",
            Description = description,
            Required = otherwise is null,
            CustomParser = result =>
            {
                var written = result.Tokens[0].Value;
                if (Uri.TryCreate(written, UriKind.Absolute, out var url) && url.Scheme is "http" or "https") return url;
                result.AddError($"{name} is '{written}'; it must be like http://127.0.0.1:8080.");
                return null!;
            },
        };
        if (otherwise is not null) option.DefaultValueFactory = _ => new Uri(otherwise);
        return option;
    }
}
