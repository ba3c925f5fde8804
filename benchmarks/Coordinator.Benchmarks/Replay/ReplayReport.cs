using System.Globalization;

namespace LlamaCluster.Coordinator.Benchmarks.Replay;

/// <summary>What became of a replayed trace. Times are virtual where nothing else is said.</summary>
/// <param name="Plan">The cluster's plan, for people.</param>
/// <param name="Elapsed">From the trace's beginning to its last token.</param>
/// <param name="PromptTokens">Of requests that were answered.</param>
/// <param name="OutputTokens">The same.</param>
sealed record ReplayReport(string Plan, int Answered, int Refused, TimeSpan Elapsed, long PromptTokens, long OutputTokens)
{
    /// <summary>From arrival to the first step, in seconds, ascending; so are the next two.</summary>
    public required IReadOnlyList<double> Waits { get; init; }

    public required IReadOnlyList<double> FirstTokens { get; init; }

    /// <summary>Of each answer, the mean time from a token to the next.</summary>
    public required IReadOnlyList<double> TimesPerToken { get; init; }

    /// <summary>Sequences that wait, as each step is sent off; in the mean and at most.</summary>
    public required (double Mean, int Most) Waiting { get; init; }

    public required (double Mean, int Most) Running { get; init; }

    /// <summary>The part of the KV blocks that sequences hold, from 0 to 1.</summary>
    public required (double Mean, double Most) KvUse { get; init; }

    public required long Preemptions { get; init; }

    public required long Steps { get; init; }

    public required double RowsPerStep { get; init; }

    /// <summary>The part of the time that each stage works, from 0 to 1.</summary>
    public required IReadOnlyList<double> Busy { get; init; }

    /// <summary>Real time of processors: the coordinator's own for a step, with what the replay itself takes.</summary>
    public TimeSpan Processor { get; init; }

    public void Print(TextWriter output)
    {
        var seconds = Elapsed.TotalSeconds;
        output.WriteLine(Plan);
        output.WriteLine(
            Text($"{Answered} answered, {Refused} refused in {seconds:0} s: {Answered / seconds:0.00} requests/s, ")
            + Text($"{PromptTokens / seconds:0} prompt tokens/s, {OutputTokens / seconds:0} tokens/s"));
        output.WriteLine(Text($"wait for the first step, p50 / p99: {At(Waits, 0.5):0.00} / {At(Waits, 0.99):0.00} s"));
        output.WriteLine(Text($"time to the first token, p50 / p99: {At(FirstTokens, 0.5):0.00} / {At(FirstTokens, 0.99):0.00} s"));
        output.WriteLine(Text($"time per further token, p50 / p99: {1e3 * At(TimesPerToken, 0.5):0} / {1e3 * At(TimesPerToken, 0.99):0} ms"));
        output.WriteLine(Text($"sequences that run: {Running.Mean:0.0}, at most {Running.Most}; that wait: {Waiting.Mean:0.0}, at most {Waiting.Most}"));
        output.WriteLine(Text($"KV blocks held: {KvUse.Mean:0 %}, at most {KvUse.Most:0 %}; preemptions: {Preemptions}"));
        output.WriteLine(Text($"{Steps} steps of {RowsPerStep:0.0} rows; stages work {Busy.Min():0 %} to {Busy.Max():0 %} of the time"));
        output.WriteLine(Text($"processor time of coordinator and replay: {Processor.TotalMicroseconds / Math.Max(1, Steps):0} us a step"));
    }

    /// <param name="ascending">Not changed; of an empty list, 0.</param>
    static double At(IReadOnlyList<double> ascending, double part) =>
        ascending.Count == 0 ? 0 : ascending[Math.Min(ascending.Count - 1, (int)(part * ascending.Count))];

    static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
