using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// Blocks of conversations that are expected to go on. When a sequence of a session ends, its full blocks are the session's, in place of those it had, and
/// outlive blocks of nobody's for a while. When there are no others left, those of the session that was last used the longest ago go first.
/// </summary>
/// <param name="hold">For how long; zero: nothing is held.</param>
sealed class SessionHolds(KvBlockPool pool, TimeSpan hold)
{
    /// <summary>Sessions that hold blocks at a time. More would make a common prefix cost memory for each of them.</summary>
    const int MostSessions = 4096;

    readonly Dictionary<string, LinkedListNode<Session>> _sessions = [];
    readonly LinkedList<Session> _byUse = [];   // the one that ended the longest ago first
    TimeSpan _now;

    /// <summary>Sessions that hold blocks now.</summary>
    public int Count => _sessions.Count;

    /// <summary>Takes note of the time, and lets go what was held for long enough.</summary>
    public void Advance(TimeSpan now)
    {
        _now = now;
        while (_byUse.First is { } first && first.Value.Ended + hold <= now) Forget(first);
    }

    /// <summary>A sequence has ended, and still holds its blocks.</summary>
    /// <param name="full">How many of them, from the first on, are full.</param>
    public void End(SequenceRun run, int full)
    {
        if (hold == TimeSpan.Zero || run.Sequence.Request.SessionKey is not { } key || full == 0) return;
        List<RetainedBlock> blocks = new(full);
        for (var i = 0; i < full && pool.Find(run.Keys.Of((i + 1) * KvBlock.Positions)) is { } block; i++) blocks.Add(pool.Retain(block));
        if (_sessions.TryGetValue(key, out var before)) Forget(before);
        if (blocks.Count == 0) return;
        _sessions.Add(key, _byUse.AddLast(new Session(key, blocks, _now)));
        if (_sessions.Count > MostSessions) Forget(_byUse.First!);
    }

    /// <summary>Positions from a session's beginning that are still in memory; 0: nothing is known of it.</summary>
    public int ResidentPositions(string key) => _sessions.TryGetValue(key, out var session)
        ? session.Value.Blocks.TakeWhile(pool.IsRetained).Count() * KvBlock.Positions
        : 0;

    void Forget(LinkedListNode<Session> session)
    {
        _byUse.Remove(session);
        _sessions.Remove(session.Value.Key);
        foreach (var block in session.Value.Blocks) pool.LetGo(block);
    }

    /// <param name="Blocks">From its beginning.</param>
    /// <param name="Ended">When its last sequence did.</param>
    sealed record Session(string Key, IReadOnlyList<RetainedBlock> Blocks, TimeSpan Ended);
}
