namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>How many tokens were guessed, in how many drafts, and how many of them were right, by what made the drafts.</summary>
public sealed class DraftCounts
{
    readonly long[] _drafts = new long[Enum.GetValues<DraftSource>().Length];
    readonly long[] _tokens = new long[Enum.GetValues<DraftSource>().Length];
    readonly long[] _accepted = new long[Enum.GetValues<DraftSource>().Length];

    public long Drafts(DraftSource source) => _drafts[(int)source];

    public long Tokens(DraftSource source) => _tokens[(int)source];

    public long Accepted(DraftSource source) => _accepted[(int)source];

    internal void Add(DraftSource source, int tokens, int accepted)
    {
        _drafts[(int)source]++;
        _tokens[(int)source] += tokens;
        _accepted[(int)source] += accepted;
    }
}
