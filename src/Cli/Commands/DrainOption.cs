using System.CommandLine;
using System.Globalization;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Commands;

/// <summary>--drain-timeout of `coordinator`: what is left of its life when it is told to stop.</summary>
static class DrainOption
{
    static readonly TimeSpan Usual = new ClusterDeadlines().Shutdown;

    static readonly (string Unit, double Seconds)[] Units = [("s", 1), ("ms", 1e-3), ("min", 60), ("h", 3600)];

    public static Option<TimeSpan> Create() => new("--drain-timeout")
    {
        HelpName = "TIME",
        Description = $"how long running requests may go on when it is told to stop, such as 90s or 10min; {Usual.TotalSeconds:0} s without it",
        DefaultValueFactory = _ => Usual,
        CustomParser = result =>
        {
            var written = result.Tokens[0].Value;
            var isPlain = double.TryParse(written, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var plain);
            var seconds = isPlain ? plain : Quantity.Parse(written, Units);
            if (seconds is > 0 and <= 86_400) return TimeSpan.FromSeconds(seconds.Value);
            var units = string.Join(", ", Units.Select(unit => unit.Unit));
            result.AddError($"--drain-timeout is '{written}'; it must be a number of seconds such as 60, or one with a unit ({units}), and at most 24 hours.");
            return Usual;
        },
    };
}
