using System.Globalization;
using System.Net;
using System.Text;

namespace LlamaCluster.Cli.CapacityPlanning;

/// <summary>
/// The points of a sweep as a picture (SVG), with one line for each way of splitting. It shows milliseconds per token, or tokens per second if the objective is
/// throughput. Colours follow the reader's light or dark setting.
/// </summary>
sealed class SweepChart(string title, string subtitle, SweepAxis axis, IReadOnlyList<SweepPoint> points, bool showsThroughput)
{
    const int Width = 760, Height = 420;
    const int Left = 72, Right = 150, Top = 56, Bottom = 56;
    const int Ticks = 6;
    const double Room = 1.5;

    static readonly string[] Series = [PlanSweep.Best, PlanSweep.Pipeline, PlanSweep.TensorGroup];

    readonly (double X, double Y, string Series)[] _shown =
    [
        .. points.Where(point => point.SecondsPerToken is not null)
            .Select(point => (axis.Shown(point.Value), showsThroughput ? point.TokensPerSecond!.Value : 1e3 * point.SecondsPerToken!.Value, point.Series)),
    ];

    public string Svg()
    {
        var svg = new StringBuilder();
        Add(svg, $"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {Width} {Height}" width="{Width}" height="{Height}" role="img">""");
        svg.AppendLine($"<title>{Text(title)}</title>");
        svg.AppendLine("""
            <style>
              svg { color-scheme: light dark; background: #ffffff; font: 13px system-ui, sans-serif; }
              text { fill: #24292f; } .faint { fill: #57606a; } .grid { stroke: #d0d7de; stroke-width: 1; }
              .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
              .s0 { stroke: #0969da; } .s1 { stroke: #bc4c00; stroke-dasharray: 7 4; } .s2 { stroke: #1a7f37; stroke-dasharray: 2 3; }
              @media (prefers-color-scheme: dark) {
                svg { background: #0d1117; } text { fill: #e6edf3; } .faint { fill: #9198a1; } .grid { stroke: #3d444d; }
                .s0 { stroke: #4493f8; } .s1 { stroke: #f0883e; } .s2 { stroke: #3fb950; }
              }
            </style>
            """);
        svg.AppendLine($"<text x=\"{Left}\" y=\"22\" font-weight=\"600\">{Text(title)}</text>");
        svg.AppendLine($"<text x=\"{Left}\" y=\"42\" class=\"faint\">PREDICTED, not measured: {Text(subtitle)}</text>");
        if (_shown.Length == 0) svg.AppendLine($"<text x=\"{Left}\" y=\"{Height / 2}\">the model fits nowhere on this axis</text>");
        else Draw(svg);
        return svg.AppendLine("</svg>").ToString();
    }

    static void Add(StringBuilder svg, FormattableString line) => svg.AppendLine(line.ToString(CultureInfo.InvariantCulture));

    void Draw(StringBuilder svg)
    {
        var (firstX, lastX) = (axis.Shown(axis.Values[0]), axis.Shown(axis.Values[^1]));
        // Points that are far slower than the best are cut off, or the best would be a flat line at the bottom.
        var best = _shown.Where(point => point.Series == PlanSweep.Best).Max(point => point.Y);
        var mostY = NiceStep(Math.Min(_shown.Max(point => point.Y), Room * best)) * Ticks;
        Add(svg, $"""<clipPath id="plot"><rect x="{Left}" y="{Top}" width="{Width - Left - Right}" height="{Height - Top - Bottom}"/></clipPath>""");
        double X(double value) => Left + (Width - Left - Right) * (lastX == firstX ? 0.5
            : axis.IsLogarithmic ? Math.Log(value / firstX) / Math.Log(lastX / firstX)
            : (value - firstX) / (lastX - firstX));
        double Y(double value) => Height - Bottom - (Height - Top - Bottom) * value / mostY;

        for (var tick = 0; tick <= Ticks; tick++)
        {
            var value = mostY * tick / Ticks;
            Add(svg, $"""<line class="grid" x1="{Left}" x2="{Width - Right}" y1="{Y(value):0.0}" y2="{Y(value):0.0}"/>""");
            Add(svg, $"""<text class="faint" x="{Left - 8}" y="{Y(value) + 4:0.0}" text-anchor="end">{value:0.###}</text>""");
        }
        foreach (var value in TicksX(firstX, lastX))
        {
            Add(svg, $"""<line class="grid" x1="{X(value):0.0}" x2="{X(value):0.0}" y1="{Top}" y2="{Height - Bottom}"/>""");
            Add(svg, $"""<text class="faint" x="{X(value):0.0}" y="{Height - Bottom + 18}" text-anchor="middle">{value:0.###}</text>""");
        }
        var titleY = showsThroughput ? "tokens/s, all streams" : "ms per token, one stream";
        Add(svg, $"""<text class="faint" x="{(Left + Width - Right) / 2}" y="{Height - 14}" text-anchor="middle">{Text(axis.Title)}</text>""");
        Add(svg, $"""<text class="faint" x="16" y="{Height / 2}" text-anchor="middle" transform="rotate(-90 16 {Height / 2})">{titleY}</text>""");
        foreach (var (index, series) in Series.Index().Reverse())
        {
            var own = _shown.Where(point => point.Series == series);
            var line = string.Join(' ', own.Select(point => string.Create(CultureInfo.InvariantCulture, $"{X(point.X):0.0},{Y(point.Y):0.0}")));
            var legend = Top + 20 + 24 * index;
            if (line.Length > 0) svg.AppendLine($"<polyline class=\"line s{index}\" clip-path=\"url(#plot)\" points=\"{line}\"/>");
            var right = Width - Right;
            Add(svg, $"""<line class="line s{index}" x1="{right + 16}" x2="{right + 44}" y1="{legend}" y2="{legend}"/>""");
            Add(svg, $"""<text x="{right + 52}" y="{legend + 4}">{Text(series)}</text>""");
        }
    }

    IEnumerable<double> TicksX(double first, double last)
    {
        if (!axis.IsLogarithmic)
        {
            var step = Math.Max(1, Math.Ceiling((last - first) / 8));
            for (var value = first; value <= last; value += step) yield return value;
            yield break;
        }
        for (var decade = Math.Pow(10, Math.Floor(Math.Log10(first) + 1e-9)); decade <= last * 1.0001; decade *= 10)
            if (decade >= first * 0.9999) yield return decade;
    }

    /// <summary>1, 2, 2.5 or 5 times a power of ten, so that <see cref="Ticks"/> steps reach <paramref name="most"/>.</summary>
    static double NiceStep(double most)
    {
        var raw = most / Ticks;
        var power = Math.Pow(10, Math.Floor(Math.Log10(raw)));
        return new[] { 1, 2, 2.5, 5, 10 }.First(step => step * power >= raw * 0.999) * power;
    }

    static string Text(string text) => WebUtility.HtmlEncode(text);
}
