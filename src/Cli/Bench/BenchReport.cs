using System.Globalization;
using System.Text.Json;

namespace LlamaCluster.Cli.Bench;

/// <summary>What a benchmark found.</summary>
interface IBenchReport
{
    IEnumerable<string> Lines();

    /// <summary>One JSON object.</summary>
    string Json();
}

/// <summary>The results of a benchmark. Rates are per second, and count all streams together unless the name says otherwise.</summary>
/// <param name="MemoryBytesPerSecond">
/// Plain reads of memory by as many threads as computed. One process reads in turn with its steps. A cluster's reads are measured before and after the round.
/// </param>
/// <param name="WeightBytesPerSecond">Stored bytes of the weights that decoding read.</param>
/// <param name="PeakResidentBytes">All processes together.</param>
sealed record BenchReport(
    double PrefillTokensPerSecond,
    double DecodeTokensPerSecond,
    double DecodeTokensPerSecondPerStream,
    double FirstTokenSeconds,
    double MemoryBytesPerSecond,
    double WeightBytesPerSecond,
    long PeakResidentBytes) : IBenchReport
{
    /// <summary>Figures that only a cluster has; null if one process was measured.</summary>
    public ClusterFigures? Cluster { get; init; }

    /// <summary>Stored bytes of the weights that loading read and packed; null if that was not measured.</summary>
    public double? LoadBytesPerSecond { get; init; }

    /// <param name="weightBytes">Stored bytes of the weights that a step reads.</param>
    public static BenchReport Of(BenchOptions options, BenchRound round, BandwidthUse use, long weightBytes, long peakResidentBytes)
    {
        var stepsPerSecond = (options.GenerateTokens - 1) / round.Decode.TotalSeconds;
        return new BenchReport(
            (double)options.Concurrency * options.PromptTokens / round.Prefill.TotalSeconds,
            stepsPerSecond * options.Concurrency,
            stepsPerSecond,
            round.FirstToken.TotalSeconds,
            use.MemoryBytesPerSecond,
            use.WeightBytesPerSecond(weightBytes),
            peakResidentBytes);
    }

    /// <param name="weightBytes">Stored bytes of the weights that a step reads, in all stages together.</param>
    public static BenchReport Of(BenchOptions options, ClusterRound round, long weightBytes, double memoryBytesPerSecond, ClusterFigures figures) => new(
        (double)options.Concurrency * options.PromptTokens / round.Prefill.TotalSeconds,
        round.TokensPerSecond,
        round.TokensPerSecond / options.Concurrency,
        round.MeanFirstToken.TotalSeconds,
        memoryBytesPerSecond,
        round.StepsPerSecond * weightBytes,
        figures.PeakResidentBytes)
    {
        Cluster = figures,
    };

    double FractionOfMemory => WeightBytesPerSecond / MemoryBytesPerSecond;

    public string Json()
    {
        var json = JsonSerializer.SerializeToNode(new
        {
            prefill_tokens_per_second = PrefillTokensPerSecond,
            decode_tokens_per_second = DecodeTokensPerSecond,
            decode_tokens_per_second_per_stream = DecodeTokensPerSecondPerStream,
            time_to_first_token_seconds = FirstTokenSeconds,
            memory_read_bytes_per_second = MemoryBytesPerSecond,
            decode_weight_bytes_per_second = WeightBytesPerSecond,
            fraction_of_memory_bandwidth = FractionOfMemory,
            peak_rss_bytes = PeakResidentBytes,
        })!.AsObject();
        if (LoadBytesPerSecond is { } load) json["load_bytes_per_second"] = load;
        Cluster?.AddTo(json);
        return json.ToJsonString();
    }

    public IEnumerable<string> Lines() =>
    [
        Line($"prefill      {PrefillTokensPerSecond:F1} tokens/s, first token after {FirstTokenSeconds:F3} s"),
        Line($"decode       {DecodeTokensPerSecond:F1} tokens/s, {DecodeTokensPerSecondPerStream:F1} per stream"),
        Line($"weights read {WeightBytesPerSecond / 1e9:F2} GB/s, {FractionOfMemory:P0} of the memory's {MemoryBytesPerSecond / 1e9:F2} GB/s"),
        Line($"memory       {PeakResidentBytes / 1e6:F0} MB at most"),
        .. LoadBytesPerSecond is { } load ? [Line($"loading      {load / 1e9:F2} GB/s")] : Array.Empty<string>(),
        .. Cluster?.Lines() ?? [],
    ];

    static string Line(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
