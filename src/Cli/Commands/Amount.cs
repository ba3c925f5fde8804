using System.Globalization;

namespace LlamaCluster.Cli.Commands;

/// <summary>Numbers as people read them: three figures and the unit that fits, a dash for what is not known.</summary>
static class Amount
{
    public const string Unknown = "–";

    static readonly string[] ByteUnits = ["B", "kB", "MB", "GB", "TB"];
    static readonly string[] BitUnits = ["bit", "kbit", "Mbit", "Gbit", "Tbit"];

    public static string Bytes(double? bytes) => bytes is { } known ? Scaled(known, ByteUnits) : Unknown;

    public static string ByteRate(double? bytesPerSecond) => bytesPerSecond is { } known ? $"{Scaled(known, ByteUnits)}/s" : Unknown;

    /// <summary>A link's speed, as networks are called.</summary>
    public static string BitRate(double? bytesPerSecond) => bytesPerSecond is { } known ? $"{Scaled(8 * known, BitUnits)}/s" : Unknown;

    public static string Seconds(double? seconds) => seconds switch
    {
        null => Unknown,
        < 0.9995e-3 => $"{Figures(1e6 * seconds.Value)} µs",
        < 0.9995 => $"{Figures(1e3 * seconds.Value)} ms",
        < 120 => $"{Figures(seconds.Value)} s",
        _ => Span(seconds.Value),
    };

    /// <summary>A long time: "3 min 20 s", "2 h 5 min", "4 d 3 h".</summary>
    public static string Span(double seconds)
    {
        var time = TimeSpan.FromSeconds(Math.Max(0, seconds));
        return time switch
        {
            { TotalDays: >= 1 } => $"{(int)time.TotalDays} d {time.Hours} h",
            { TotalHours: >= 1 } => $"{time.Hours} h {time.Minutes} min",
            { TotalMinutes: >= 1 } => $"{time.Minutes} min {time.Seconds} s",
            _ => $"{time.Seconds} s",
        };
    }

    /// <param name="part">0 to 1.</param>
    public static string Percent(double? part) => part switch
    {
        null => Unknown,
        > 0 and < 0.01 => "<1 %",
        _ => string.Create(CultureInfo.InvariantCulture, $"{100 * part.Value:0} %"),
    };

    /// <summary>Three significant figures, without an exponent.</summary>
    public static string Figures(double value) => value.ToString(
        Math.Abs(value) switch { >= 99.95 => "#,0", >= 9.995 => "0.0", >= 0.9995 => "0.00", 0 => "0", _ => "0.###" }, CultureInfo.InvariantCulture);

    public static string Count(int count, string one) => $"{count} {(count == 1 ? one : $"{one}s")}";

    static string Scaled(double value, string[] units)
    {
        var unit = 0;
        for (; Math.Abs(value) >= 1000 && unit < units.Length - 1; unit++) value /= 1000;
        return unit == 0 ? string.Create(CultureInfo.InvariantCulture, $"{value:0} {units[0]}") : $"{Figures(value)} {units[unit]}";
    }
}
