namespace LlamaCluster.Coordinator.Benchmarks.Replay;

/// <summary>One request of a made-up trace.</summary>
/// <param name="Arrival">Since the trace's beginning.</param>
/// <param name="Prompt">Tokens.</param>
/// <param name="Output">Tokens.</param>
readonly record struct TraceRequest(TimeSpan Arrival, int Prompt, int Output);

/// <summary>
/// The shape of a trace, from which any number of requests can be drawn: lengths are log-normal, and the times between arrivals have a gamma distribution.
/// <para>
/// The medians are those that Patel et al. give for two services of Azure in November 2023 (Splitwise: Efficient Generative LLM Inference Using Phase
/// Splitting, ISCA 2024, https://arxiv.org/abs/2311.18677, section III). The spreads are ours. Gamma times between arrivals are what Wang et al. fit to bursts
/// of such services (BurstGPT, https://arxiv.org/abs/2401.17644). Nothing of the traces themselves is in here.
/// </para>
/// </summary>
/// <param name="PromptSpread">Standard deviation of the logarithm of a prompt's length.</param>
/// <param name="OutputSpread">The same of an answer's.</param>
sealed record TraceShape(string Name, double MedianPrompt, double PromptSpread, double MedianOutput, double OutputSpread)
{
    public static IReadOnlyList<TraceShape> All { get; } =
    [
        new("conversation", MedianPrompt: 1020, PromptSpread: 0.8, MedianOutput: 129, OutputSpread: 0.9),
        new("code", MedianPrompt: 1500, PromptSpread: 0.8, MedianOutput: 13, OutputSpread: 1.1),
    ];

    /// <param name="rate">Arrivals per second in the mean.</param>
    /// <param name="burst">Coefficient of variation of the times between arrivals. 1: as if by chance (Poisson); more: in bursts.</param>
    /// <param name="mostPositions">Longer prompts and answers are cut, so that both fit into so many positions.</param>
    public IEnumerable<TraceRequest> Draw(int count, double rate, double burst, int mostPositions, int seed)
    {
        var random = new Random(seed);
        var shape = 1 / (burst * burst);
        var arrival = 0.0;
        for (var i = 0; i < count; i++)
        {
            arrival += Gamma(random, shape) / (shape * rate);
            var prompt = Length(random, MedianPrompt, PromptSpread, mostPositions / 2);
            yield return new TraceRequest(TimeSpan.FromSeconds(arrival), prompt, Length(random, MedianOutput, OutputSpread, mostPositions - prompt));
        }
    }

    static int Length(Random random, double median, double spread, int most) =>
        (int)Math.Clamp(Math.Round(median * Math.Exp(spread * Normal(random))), 1, most);

    /// <summary>Box and Muller's method.</summary>
    static double Normal(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    /// <summary>Of mean <paramref name="shape"/>: the method of Marsaglia and Tsang (2000), https://doi.org/10.1145/358407.358414.</summary>
    static double Gamma(Random random, double shape)
    {
        if (shape < 1) return Gamma(random, shape + 1) * Math.Pow(1 - random.NextDouble(), 1 / shape);
        var d = shape - 1.0 / 3;
        while (true)
        {
            var x = Normal(random);
            var v = Math.Pow(1 + x / Math.Sqrt(9 * d), 3);
            if (v > 0 && Math.Log(1 - random.NextDouble()) < 0.5 * x * x + d - d * v + d * Math.Log(v)) return d * v;
        }
    }
}
