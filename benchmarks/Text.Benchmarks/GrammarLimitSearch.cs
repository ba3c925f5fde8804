using System.Diagnostics;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Tests.Grammars;

namespace LlamaCluster.Text.Benchmarks;

/// <summary>
/// Looks for sources that take as much as the limits of grammars let them: of each kind the largest that compiles, and one that is refused. Times are of the
/// processor, not of the clock.
/// </summary>
sealed class GrammarLimitSearch(TextWriter output)
{
    /// <summary>Of a source that compiles, on one processor.</summary>
    const double MostMilliseconds = 1_000;

    /// <param name="random">So many kinds that chance makes, besides those that are known.</param>
    /// <param name="text">Only kinds that have it in their names.</param>
    /// <returns>Whether nothing took too long.</returns>
    public bool Run(int seed, int random, string text)
    {
        var (slowest, largest) = (0.0, 0L);
        output.WriteLine($"{"",-60}{"size",9}{"ms",8}{"MiB",7}   {"refused ms",10}{"MiB",7}");
        foreach (var source in new HostileSources(seed).Make(random).Where(kind => kind.Name.Contains(text, StringComparison.Ordinal)))
        {
            Measure(source.OfSize(1));   // compiles the program
            var (accepted, refused) = Border(source);
            output.WriteLine($"{(source.Name.Length <= 58 ? source.Name : source.Name[..58]),-60}"
                + $"{accepted.Size,9}{accepted.Milliseconds,8:F0}{accepted.Bytes >> 20,7}   "
                + (refused is { } beyond ? $"{beyond.Milliseconds,10:F0}{beyond.Bytes >> 20,7} {beyond.Refusal}" : "no size is refused"));
            slowest = Math.Max(slowest, Math.Max(accepted.Milliseconds, refused?.Milliseconds ?? 0));
            largest = Math.Max(largest, Math.Max(accepted.Bytes, refused?.Bytes ?? 0));
        }
        output.WriteLine($"slowest {slowest:F0} ms, most allocated {largest >> 20} MiB");
        return slowest <= MostMilliseconds;
    }

    static (Measurement Accepted, Measurement? Refused) Border(HostileSource source)
    {
        var (accepted, refused) = (new Measurement(0, 0, 0, null), (Measurement?)null);
        for (var size = 1; size <= GrammarLimits.SourceLength && refused is null; size *= 2) Try(size);
        while (refused is { } beyond && beyond.Size - accepted.Size > Math.Max(1, accepted.Size / 20)) Try((accepted.Size + beyond.Size) / 2);
        return (accepted, refused);

        void Try(int size)
        {
            var measured = Measure(source.OfSize(size)) with { Size = size };
            if (measured.Refusal is null) accepted = measured;
            else if (refused is null || measured.Milliseconds > 0) refused = measured;
        }
    }

    static Measurement Measure(GrammarSource source)
    {
        var (bytes, begun) = (GC.GetAllocatedBytesForCurrentThread(), Environment.CpuUsage.TotalTime);
        var compiled = GrammarCompiler.Compile(source);
        return new(0, (Environment.CpuUsage.TotalTime - begun).TotalMilliseconds, GC.GetAllocatedBytesForCurrentThread() - bytes, compiled.Refusal?.ToString());
    }

    readonly record struct Measurement(int Size, double Milliseconds, long Bytes, string? Refusal);
}
