namespace LlamaCluster.Planning.Costs;

/// <summary>The size of a step.</summary>
/// <param name="Rows">B: token positions.</param>
/// <param name="SampledRows">Rows that need logits.</param>
/// <param name="Positions">Positions that each row attends to.</param>
public readonly record struct StepLoad(int Rows, int SampledRows, int Positions)
{
    /// <summary>One token of each stream.</summary>
    public static StepLoad Decode(int streams, int positions) => new(streams, streams, positions);
}

/// <summary>A time by its causes, in seconds.</summary>
/// <param name="Weights">Products that wait for memory.</param>
/// <param name="Arithmetic">Products that wait for the processor.</param>
/// <param name="Attention">Reading keys and values.</param>
/// <param name="Exchange">Partial sums between ranks.</param>
/// <param name="Transfer">Activations from stage to stage.</param>
/// <param name="Program">Everything that is not the model's maths; see <see cref="Overheads"/>.</param>
public readonly record struct TimeParts(double Weights, double Arithmetic, double Attention, double Exchange, double Transfer, double Program)
{
    const double PicosecondsPerSecond = 1e12;

    /// <summary>The total as a whole number, so that sums are the same in any order.</summary>
    public long Picoseconds => (long)Math.Round(Total * PicosecondsPerSecond);

    public double Total => Weights + Arithmetic + Attention + Exchange + Transfer + Program;

    /// <summary>In descending order.</summary>
    public IReadOnlyList<(string Name, double Seconds)> Named =>
    [
        .. new[]
        {
            ("reading weights", Weights), ("arithmetic", Arithmetic), ("reading keys and values", Attention),
            ("exchanges between ranks", Exchange), ("activations between stages", Transfer), ("the program", Program),
        }.OrderByDescending(part => part.Item2),
    ];

    public static TimeParts operator +(TimeParts a, TimeParts b) => new(
        a.Weights + b.Weights, a.Arithmetic + b.Arithmetic, a.Attention + b.Attention, a.Exchange + b.Exchange, a.Transfer + b.Transfer, a.Program + b.Program);

    public static TimeParts operator -(TimeParts a, TimeParts b) => new(
        a.Weights - b.Weights, a.Arithmetic - b.Arithmetic, a.Attention - b.Attention, a.Exchange - b.Exchange, a.Transfer - b.Transfer, a.Program - b.Program);
}
