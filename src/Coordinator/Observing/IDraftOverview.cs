namespace LlamaCluster.Coordinator.Observing;

/// <summary>What there is to say of the draft model.</summary>
public interface IDraftOverview
{
    DraftFacts Facts { get; }
}

/// <param name="Reason">What it waits for or what went wrong; empty when ready.</param>
/// <param name="Workers">The names of those that are there for it; the first has it, any others are spare.</param>
public sealed record DraftFacts(string Model, bool Ready, string Reason, IReadOnlyList<string> Workers)
{
    /// <summary>Since the process's start; what other sources drafted does not count. The same for <see cref="TokensAccepted"/>.</summary>
    public long TokensDrafted { get; init; }

    public long TokensAccepted { get; init; }
}
