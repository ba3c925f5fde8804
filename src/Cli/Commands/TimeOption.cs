using System.CommandLine;
using System.Globalization;

namespace LlamaCluster.Cli.Commands;

/// <summary>An option whose value is a time: a number of seconds, alone or with a unit. To the library it is a text (see <see cref="WordOption{T}"/>).</summary>
sealed class TimeOption : Option<string>
{
    static readonly (string Unit, double Seconds)[] Units = [("s", 1), ("ms", 1e-3), ("min", 60), ("h", 3600)];

    public TimeOption(string name, string description, TimeSpan otherwise) : base(name)
    {
        HelpName = "TIME";
        Description = $"{description}, such as 90s or 10min";
        DefaultValueFactory = _ => string.Create(CultureInfo.InvariantCulture, $"{otherwise.TotalSeconds:0.###}s");
        CustomParser = result =>
        {
            var written = result.Tokens[0].Value;
            if (Read(written) is not null) return written;
            result.AddError($"{name} is '{written}'; it must be a number of seconds such as 60, or one with a unit ({string.Join(", ", Units.Select(unit => unit.Unit))}) such as 90s or 10min.");
            return null;
        };
    }

    public TimeSpan In(ParseResult parsed) => Read(parsed.GetRequiredValue(this)) ?? throw new InvalidOperationException($"{Name} was not checked");

    static TimeSpan? Read(string written)
    {
        var isPlain = double.TryParse(written, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var plain);
        var seconds = isPlain ? plain : Quantity.Parse(written, Units);
        return seconds is > 0 && seconds < TimeSpan.MaxValue.TotalSeconds / 2 ? TimeSpan.FromSeconds(seconds.Value) : null;
    }
}
