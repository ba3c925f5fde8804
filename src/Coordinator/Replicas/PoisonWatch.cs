using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>
/// Finds the sequence that ends the workers that compute it, so that it cannot end one after the other.
/// <para>
/// A sequence is suspect when it was under way as a view broke. It is so again if the next view breaks at the same positions, with no token of it
/// between. After the second time it is isolated (<see cref="Isolation"/>): when the view breaks once more while nothing else is under way, it is
/// the sequence's doing, but only if another sequence got a token in the same view: the machines had just shown that they live and are warm, so
/// that hardly any time was left for something else to end one. Where a worker answered that it cannot carry the step out, the second time is
/// enough, since no machine died.
/// A sequence that gets a token, or was not under way the next time a view broke, is suspect no more: kills at random poison nobody.
/// </para>
/// </summary>
sealed class PoisonWatch
{
    const int Isolated = 2;
    const int Deadly = 3;

    readonly Dictionary<ulong, Suspicion> _suspects = [];
    long _tokensBefore;   // that all sequences together had got when the last view ended

    /// <summary>That all sequences together have got.</summary>
    public long Tokens { get; private set; }

    public bool AnyIsolated { get; private set; }

    public bool IsIsolated(ulong sequence) => TimesOf(sequence) >= Isolated;

    /// <summary>How many views in a row broke while the sequence was under way.</summary>
    public int TimesOf(ulong sequence) => _suspects.TryGetValue(sequence, out var suspicion) ? suspicion.Times : 0;

    public void Generated(ulong sequence, int tokens)
    {
        Tokens += tokens;
        if (tokens > 0) Forget(sequence);
    }

    public void Forget(ulong sequence)
    {
        if (_suspects.Count > 0 && _suspects.Remove(sequence)) LookForIsolated();
    }

    /// <summary>A view is over.</summary>
    /// <param name="underWay">The steps that had not returned.</param>
    /// <returns>The sequence that broke it, if one is found to have.</returns>
    public ulong? ViewEnded(PipelineFailure failure, IEnumerable<ScheduledStep> underWay)
    {
        var othersWentOn = Tokens > _tokensBefore;   // a suspect that gets a token is none any more
        _tokensBefore = Tokens;
        if (failure.IsPlanned) return null;
        var positions = PositionsOf(underWay);
        foreach (var cleared in _suspects.Keys.Where(id => !positions.ContainsKey(id)).ToList()) _suspects.Remove(cleared);
        ulong? poisonous = null;
        foreach (var (id, (first, end, _)) in positions.Where(one => !one.Value.Ended))
        {
            var suspicion = _suspects.TryGetValue(id, out var before) && before.Overlaps(first, end)
                ? before with { Times = before.Times + 1, First = Math.Max(before.First, first), End = Math.Min(before.End, end) }
                : new Suspicion(1, first, end);
            _suspects[id] = suspicion;
            var isProven = failure.IsStepError ? suspicion.Times >= Isolated : suspicion.Times >= Deadly && othersWentOn;
            if (isProven && positions.Count == 1) poisonous = id;
        }
        LookForIsolated();
        return poisonous;
    }

    /// <summary>The positions that were under way of each sequence, of those too that have ended meanwhile.</summary>
    static Dictionary<ulong, (int First, int End, bool Ended)> PositionsOf(IEnumerable<ScheduledStep> steps)
    {
        Dictionary<ulong, (int First, int End, bool Ended)> positions = [];
        foreach (var chunk in steps.SelectMany(step => step.Chunks))
        {
            var (first, end, _) = positions.TryGetValue(chunk.Run.Id, out var other) ? other : (int.MaxValue, 0, false);
            positions[chunk.Run.Id] = (Math.Min(first, chunk.Start), Math.Max(end, chunk.Start + chunk.Count), chunk.Run.Ended);
        }
        return positions;
    }

    void LookForIsolated() => AnyIsolated = _suspects.Values.Any(suspicion => suspicion.Times >= Isolated);

    /// <param name="First">First position that was under way each time.</param>
    /// <param name="End">The position after the last one.</param>
    readonly record struct Suspicion(int Times, int First, int End)
    {
        public bool Overlaps(int first, int end) => first < End && First < end;
    }
}
