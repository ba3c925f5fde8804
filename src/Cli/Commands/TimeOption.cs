using System.CommandLine;
using System.Globalization;

namespace LlamaCluster.Cli.Commands;

/// <summary>An option whose value is a time: a number of seconds, alone or with a unit.</summary>
static class TimeOption
{
    static readonly (string Unit, double Seconds)[] Units = [("s", 1), ("ms", 1e-3), ("min", 60), ("h", 3600)];

    public static Option<TimeSpan> Create(string name, string description, TimeSpan otherwise) => new(name)
    {
        HelpName = "TIME",
        Description = $"{description}, such as 90s or 10min; {Format(otherwise)} without it",
        DefaultValueFactory = _ => otherwise,
        CustomParser = result =>
        {
            var written = result.Tokens[0].Value;
            var seconds = double.TryParse(written, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var plain) ? plain : Quantity.Parse(written, Units);
            if (seconds is > 0 && seconds < TimeSpan.MaxValue.TotalSeconds / 2) return TimeSpan.FromSeconds(seconds.Value);
            result.AddError($"{name} is '{written}'; it must be a number of seconds such as 60, or one with a unit ({string.Join(", ", Units.Select(unit => unit.Unit))}) such as 90s or 10min.");
            return otherwise;
        },
    };

    static string Format(TimeSpan time) =>
        time.TotalSeconds % 60 == 0 && time.TotalMinutes >= 2 ? $"{time.TotalMinutes:0} min" : string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.###} s");
}
