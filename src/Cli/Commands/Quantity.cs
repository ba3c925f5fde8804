using System.Globalization;
using System.Text.RegularExpressions;

namespace LlamaCluster.Cli.Commands;

/// <summary>Parses numbers with units, such as "384 GB", "25 Gbit/s" and "50 us", to bytes, bytes/s, seconds or multiply-adds/s.</summary>
static partial class Quantity
{
    const double Kibi = 1024;

    /// <summary>A floating-point multiply and an add are two operations.</summary>
    const double OperationsPerMultiplyAdd = 2;

    public static IReadOnlyList<(string Unit, double Factor)> Memory { get; } =
    [
        ("B", 1), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12),
        ("KiB", Kibi), ("MiB", Kibi * Kibi), ("GiB", Kibi * Kibi * Kibi), ("TiB", Kibi * Kibi * Kibi * Kibi),
    ];

    public static IReadOnlyList<(string Unit, double Factor)> Bandwidth { get; } =
    [
        ("B/s", 1), ("kB/s", 1e3), ("MB/s", 1e6), ("GB/s", 1e9), ("TB/s", 1e12),
        ("kbit/s", 1e3 / 8), ("Mbit/s", 1e6 / 8), ("Gbit/s", 1e9 / 8), ("Tbit/s", 1e12 / 8),
    ];

    public static IReadOnlyList<(string Unit, double Factor)> Time { get; } =
        [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1), ("min", 60), ("h", 3600), ("d", 86_400)];

    public static IReadOnlyList<(string Unit, double Factor)> Compute { get; } =
    [
        ("MFLOP/s", 1e6 / OperationsPerMultiplyAdd), ("GFLOP/s", 1e9 / OperationsPerMultiplyAdd), ("TFLOP/s", 1e12 / OperationsPerMultiplyAdd),
    ];

    public static IReadOnlyList<(string Unit, double Factor)> MultiplyAdds { get; } = [("M/s", 1e6), ("G/s", 1e9), ("T/s", 1e12)];

    /// <summary>A positive number and one of the units.</summary>
    /// <returns>Null if the text has another form.</returns>
    public static double? Parse(string text, IReadOnlyList<(string Unit, double Factor)> units)
    {
        if (Form().Match(text) is not { Success: true } match) return null;
        const NumberStyles style = NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        var factor = units.FirstOrDefault(unit => unit.Unit == match.Groups["unit"].Value).Factor;
        var parsed = double.TryParse(match.Groups["number"].Value, style, CultureInfo.InvariantCulture, out var number);
        return parsed && factor > 0 && number * factor is > 0 and < double.PositiveInfinity ? number * factor : null;
    }

    /// <summary>For people: "a number and one of B, kB, MB".</summary>
    public static string Describe(IReadOnlyList<(string Unit, double Factor)> units) =>
        $"a number above 0 and one of {string.Join(", ", units.Select(unit => unit.Unit))}";

    [GeneratedRegex(@"^\s*(?<number>[0-9][0-9.]*(?:e[0-9]+)?)\s*(?<unit>[A-Za-z/]+)\s*$")]
    private static partial Regex Form();
}
