using System.Globalization;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Cli.CapacityPlanning;

enum SweepSubject
{
    Workers,
    RoundTrip,
    Bandwidth,
}

/// <summary>What a sweep changes, and to which values: <c>workers=1..32</c>, <c>link=10us..10ms</c> or <c>link=100Mbit/s..100Gbit/s</c>.</summary>
sealed record SweepAxis(SweepSubject Subject, IReadOnlyList<double> Values)
{
    const int MostWorkers = 1024;
    const int MostSteps = 64;
    const int StepsPerDecade = 6;

    public const string Form = "workers=FIRST..LAST, link=TIME..TIME for the round trip or link=RATE..RATE for the bandwidth";

    /// <summary>The title of a picture's axis, with the unit of <see cref="Shown"/>.</summary>
    public string Title => Subject switch
    {
        SweepSubject.Workers => "workers",
        SweepSubject.RoundTrip => "round trip between hosts, us",
        _ => "bandwidth between hosts, Gbit/s",
    };

    public bool IsLogarithmic => Subject != SweepSubject.Workers;

    /// <returns>Null if the text does not have the <see cref="Form"/>.</returns>
    public static SweepAxis? Parse(string text)
    {
        if (text.Split('=', 2) is not [var name, var range] || range.Split("..") is not [var first, var last]) return null;
        if (name == "workers")
            return Whole(first) is { } from && Whole(last) is { } to && from <= to ? new SweepAxis(SweepSubject.Workers, Steps(from, to)) : null;
        if (name != "link") return null;
        return Between(SweepSubject.RoundTrip, first, last, Quantity.Time) ?? Between(SweepSubject.Bandwidth, first, last, Quantity.Bandwidth);
    }

    /// <summary>The cluster changed to one value of the axis.</summary>
    public ClusterDescription Apply(ClusterDescription cluster, double value) => Subject switch
    {
        SweepSubject.Workers => cluster with { Kinds = [cluster.Kinds[0] with { Hosts = (int)value }] },
        SweepSubject.RoundTrip => WithLinks(cluster, link => link with { RoundTripSeconds = value }),
        _ => WithLinks(cluster, link => link with { BytesPerSecond = value }),
    };

    /// <summary>The value in the unit of <see cref="Title"/>.</summary>
    public double Shown(double value) => Subject switch
    {
        SweepSubject.Workers => value,
        SweepSubject.RoundTrip => value * 1e6,
        _ => value * 8 / 1e9,
    };

    static ClusterDescription WithLinks(ClusterDescription cluster, Func<Link, Link> change) => cluster with
    {
        Kinds = [.. cluster.Kinds.Select(kind => kind with { Outer = kind.Outer is { } outer ? change(outer) : null })],
        Coordinator = cluster.Coordinator is { } own ? change(own) : null,
    };

    static SweepAxis? Between(SweepSubject subject, string first, string last, IReadOnlyList<(string, double)> units)
    {
        if (Quantity.Parse(first, units) is not { } from || Quantity.Parse(last, units) is not { } to || from > to) return null;
        var steps = Math.Clamp((int)Math.Ceiling(Math.Log10(to / from) * StepsPerDecade), 1, MostSteps);
        var values = Enumerable.Range(0, steps + 1).Select(step => from * Math.Pow(to / from, (double)step / steps));
        return new SweepAxis(subject, from == to ? [from] : [.. values]);
    }

    static IReadOnlyList<double> Steps(int first, int last)
    {
        var step = Math.Max(1, (last - first + MostSteps - 1) / MostSteps);
        return [.. Enumerable.Range(0, (last - first) / step + 1).Select(index => (double)(first + index * step))];
    }

    static int? Whole(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value is >= 1 and <= MostWorkers ? value : null;
}
