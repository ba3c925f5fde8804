using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>
/// Finds the sequence that ends the workers that compute it, so that it cannot end one after the other.
/// <para>
/// A sequence is suspect when it was under way as a view broke. It is so again if the next view breaks at the same positions, with no token of it
/// between. Who gets a token, or was not under way the next time, is suspect no more: kills at random poison nobody.
/// A view that only lost a connection between two workers says nothing, since nobody died.
/// </para>
/// <para>
/// Two deaths alone prove nothing: a long prompt that two kills at random meet looks the same, with no token of it between and others going on. It takes
/// what tells the one from the other.
/// Where no worker had died for <see cref="Calm"/>, two such deaths are hardly chance. A newcomer, who has got no token yet and was in the very step that the
/// first dead worker had left to do, waits in the next view until the others have got a token (<see cref="Isolation"/>). If the worker that runs it dies
/// then, in a step in which it is the only suspect, it is the newcomer's doing.
/// Where workers die anyway, or it was no newcomer, it is isolated after the second time: when the view breaks a third time while nothing else is
/// under way, it is the sequence's doing, but only if another sequence got a token in the same view: the machines had just shown that they live and are warm,
/// so that hardly any time was left for something else to end one. Where <see cref="Storm"/> workers have died lately for other reasons, that may happen by
/// chance, too, and it takes <see cref="DeadlyInStorm"/> times. Where a worker answered that it cannot carry the step out, the second time is enough, since no
/// machine died.
/// </para>
/// <para>
/// To isolate all after the first death would have every sequence of a worker that died computed one after the other, each time one dies. Who is isolated
/// stays so until it has got a token: it had no chance to be under way while others ran, and of several poisonous ones each must be found.
/// </para>
/// </summary>
sealed class PoisonWatch(TimeProvider time)
{
    const int Isolated = 2;
    const int Deadly = 3;
    const int DeadlyInStorm = 5;
    const int Storm = 4;

    /// <summary>Machines that have lived for so long do not die twice in a row by chance.</summary>
    public static readonly TimeSpan Calm = TimeSpan.FromMinutes(10);

    readonly Dictionary<ulong, Suspicion> _suspects = [];
    readonly Queue<long> _unexplained = new(Storm);   // when the last workers died that no suspect had met before
    long _tokensBefore;   // that all sequences together had got when the last view ended
    long _lastDeath = time.GetTimestamp();   // nobody knows what was before

    /// <summary>That all sequences together have got.</summary>
    public long Tokens { get; private set; }

    public bool AnyIsolated { get; private set; }

    /// <summary>There are newcomers to be watched.</summary>
    public bool AnyWatched { get; private set; }

    public bool IsIsolated(ulong sequence) => TimesOf(sequence) >= Isolated;

    /// <summary>A newcomer that the first death in a long time has made suspect.</summary>
    public bool IsWatched(ulong sequence) => _suspects.TryGetValue(sequence, out var suspicion) && suspicion.IsWatched;

    /// <summary>How many views in a row broke while the sequence was under way.</summary>
    public int TimesOf(ulong sequence) => _suspects.TryGetValue(sequence, out var suspicion) ? suspicion.Times : 0;

    public void Generated(ulong sequence, int tokens)
    {
        Tokens += tokens;
        if (tokens > 0) Forget(sequence);
    }

    public void Forget(ulong sequence)
    {
        if (_suspects.Count > 0 && _suspects.Remove(sequence)) Look();
    }

    /// <summary>A view is over.</summary>
    /// <param name="underWay">The steps that had not returned.</param>
    /// <param name="left">The step that the worker at fault had left to do; null: unknown.</param>
    /// <returns>The sequence that broke it, if one is found to have.</returns>
    public ulong? ViewEnded(PipelineFailure failure, IEnumerable<ScheduledStep> underWay, ScheduledStep? left)
    {
        var othersWentOn = Tokens > _tokensBefore;   // a suspect that gets a token is none any more
        _tokensBefore = Tokens;
        if (failure.IsPlanned || failure.IsConnectionOnly) return null;
        var wasCalm = time.GetElapsedTime(_lastDeath) >= Calm;
        if (failure.WorkerLost) _lastDeath = time.GetTimestamp();
        var positions = PositionsOf(underWay);
        foreach (var cleared in _suspects.Keys.Where(id => !positions.ContainsKey(id) && !IsIsolated(id)).ToList()) _suspects.Remove(cleared);
        var deadly = _unexplained.Count == Storm && time.GetElapsedTime(_unexplained.Peek()) < Calm ? DeadlyInStorm : Deadly;
        var isExplained = false;
        ulong? poisonous = null;
        foreach (var (id, (first, end, _)) in positions.Where(one => !one.Value.Ended))
        {
            var suspicion = _suspects.TryGetValue(id, out var before) && before.Overlaps(first, end)
                ? before with { Times = before.Times + 1, First = Math.Max(before.First, first), End = Math.Min(before.End, end), IsWatched = false }
                : new Suspicion(1, first, end) { IsWatched = wasCalm && failure.WorkerLost && IsNewcomerIn(left, id) };
            _suspects[id] = suspicion;
            isExplained |= suspicion.Times >= Isolated;
            var isProven = failure.IsStepError ? suspicion.Times >= Isolated : suspicion.Times >= deadly && othersWentOn;
            if (isProven && positions.Count == 1) poisonous = id;
            if (before.IsWatched && suspicion.Times == Isolated && failure.WorkerLost && othersWentOn && IsNewcomerIn(left, id)) poisonous ??= id;
        }
        // Whoever else got a token since the first death is no suspect any more. Of two that are left, neither is proven to be the one.
        if (failure.WorkerLost && poisonous is { } one && left?.Chunks.Any(other => other.Run.Id != one && TimesOf(other.Run.Id) >= Isolated) == true)
            poisonous = null;
        if (failure.WorkerLost && !isExplained) NoteUnexplained();
        Look();
        return poisonous;
    }

    void NoteUnexplained()
    {
        if (_unexplained.Count == Storm) _unexplained.Dequeue();
        _unexplained.Enqueue(time.GetTimestamp());
    }

    static bool IsNewcomerIn(ScheduledStep? step, ulong sequence) =>
        step?.Chunks.Any(chunk => chunk.Run.Id == sequence && chunk.Run.Sequence.GeneratedLength == 0) == true;

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

    void Look() => (AnyIsolated, AnyWatched) =
        (_suspects.Values.Any(suspicion => suspicion.Times >= Isolated), _suspects.Values.Any(suspicion => suspicion.IsWatched));

    /// <param name="First">First position that was under way each time.</param>
    /// <param name="End">The position after the last one.</param>
    readonly record struct Suspicion(int Times, int First, int End)
    {
        /// <summary>A newcomer, and the first death in a long time.</summary>
        public bool IsWatched { get; init; }

        public bool Overlaps(int first, int end) => first < End && First < end;
    }
}
