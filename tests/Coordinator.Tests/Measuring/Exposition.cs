using System.Globalization;
using System.Text.RegularExpressions;

namespace LlamaCluster.Coordinator.Tests.Measuring;

/// <summary>An answer of /metrics, read.</summary>
sealed partial class Exposition
{
    Exposition(IReadOnlyList<(string Series, double Value)> samples, IReadOnlyDictionary<string, string> types) => (Samples, Types) = (samples, types);

    /// <summary>Names with their labels, as they are written, and values.</summary>
    public IReadOnlyList<(string Series, double Value)> Samples { get; }

    /// <summary>"counter", "gauge" or "histogram", by name.</summary>
    public IReadOnlyDictionary<string, string> Types { get; }

    public static async Task<Exposition> OfAsync(HttpClient http, string? accept = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
        if (accept is not null) request.Headers.TryAddWithoutValidation("Accept", accept);
        using var answer = await http.SendAsync(request);
        answer.EnsureSuccessStatusCode();
        return Read(await answer.Content.ReadAsStringAsync());
    }

    public static Exposition Read(string text)
    {
        List<(string, double)> samples = [];
        Dictionary<string, string> types = [];
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            if (line.StartsWith("# TYPE ", StringComparison.Ordinal)) types.Add(line.Split(' ')[2], line.Split(' ')[3]);
            else if (!line.StartsWith('#'))
                samples.Add((line[..line.LastIndexOf(' ')], double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture)));
        return new Exposition(samples, types);
    }

    /// <summary>The sum of all series of a name that have all of these labels, each written as <c>name="value"</c>.</summary>
    public double Sum(string name, params string[] labels) => Samples
        .Where(sample => NameOf(sample.Series) == name && labels.All(label => sample.Series.Contains(label, StringComparison.Ordinal)))
        .Sum(sample => sample.Value);

    public static string NameOf(string series) => series.Split('{')[0];

    /// <summary>Names of a series' labels, without that of buckets.</summary>
    public static IEnumerable<string> LabelsOf(string series) => LabelName().Matches(series).Select(match => match.Groups[1].Value).Where(name => name != "le");

    [GeneratedRegex("""[{,]([a-zA-Z_]\w*)=" """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex LabelName();
}
