using System.Globalization;

namespace LlamaCluster.Coordinator.Benchmarks.Replay;

/// <summary>What is replayed, and on which cluster.</summary>
sealed record ReplayOptions
{
    public TraceShape Trace { get; init; } = TraceShape.All[0];

    /// <summary>Arrivals per second in the mean.</summary>
    public double Rate { get; init; } = 1;

    /// <inheritdoc cref="TraceShape.Draw"/>
    public double Burst { get; init; } = 2;

    public int Requests { get; init; } = 2000;

    public int Seed { get; init; } = 1;

    /// <summary>A model's shape, as <c>plan --shape</c> takes it.</summary>
    public string Shape { get; init; } = "llama-3.1-70b";

    public string Quant { get; init; } = "q4_k_m";

    /// <summary>Machines like docs/clusters/eight-fast-machines.yaml, one worker on each.</summary>
    public int Workers { get; init; } = 8;

    /// <summary>The most sequences that run at a time.</summary>
    public int Running { get; init; } = 64;

    /// <summary>Positions of the KV cache.</summary>
    public int KvTokens { get; init; } = 1 << 18;

    /// <summary>The most positions of a sequence.</summary>
    public int Context { get; init; } = 8192;

    /// <param name="words">KEY=VALUE each.</param>
    /// <exception cref="ArgumentException">One of them means nothing. The message is one line.</exception>
    public static ReplayOptions Parse(IEnumerable<string> words) => words.Aggregate(new ReplayOptions(), (options, word) => word.Split('=', 2) switch
    {
        ["trace", var name] => options with { Trace = TraceShape.All.FirstOrDefault(shape => shape.Name == name) ?? throw Wrong(word, "conversation or code") },
        ["rate", var value] => options with { Rate = Number(word, value) },
        ["burst", var value] => options with { Burst = Number(word, value) },
        ["requests", var value] => options with { Requests = Count(word, value) },
        ["seed", var value] => options with { Seed = Count(word, value) },
        ["shape", var value] => options with { Shape = value },
        ["quant", var value] => options with { Quant = value },
        ["workers", var value] => options with { Workers = Count(word, value) },
        ["running", var value] => options with { Running = Count(word, value) },
        ["kv", var value] => options with { KvTokens = Count(word, value) },
        ["context", var value] => options with { Context = Count(word, value) },
        _ => throw Wrong(word, "trace, rate, burst, requests, seed, shape, quant, workers, running, kv or context, = and a value"),
    });

    static int Count(string word, string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count > 0 ? count : throw Wrong(word, "a whole number from 1");

    static double Number(string word, string value) =>
        double.TryParse(value, CultureInfo.InvariantCulture, out var number) && number > 0 && double.IsFinite(number)
            ? number
            : throw Wrong(word, "a number above 0");

    static ArgumentException Wrong(string word, string wanted) => new($"--replay: '{word}' is not {wanted}");
}
