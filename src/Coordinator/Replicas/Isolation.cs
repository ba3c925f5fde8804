namespace LlamaCluster.Coordinator.Replicas;

/// <summary>
/// Runs suspect sequences one at a time, so that <see cref="PoisonWatch"/> can tell which one ends workers. First the
/// others run, until one has got a token. Then each isolated sequence runs with nothing beside it until it gets a token too. It is rare, so it may be slow.
/// Newcomers that are only watched have the others beside them, which are not held up.
/// </summary>
sealed class Isolation(PoisonWatch poison)
{
    SequenceStream? _alone;
    long _tokensAtStart;
    bool _anyHeld;

    /// <summary>Another view begins, in which nobody is held yet.</summary>
    public void Begin(OpenStreams open)
    {
        (_alone, _tokensAtStart, _anyHeld) = (null, poison.Tokens, false);
        foreach (var stream in open.All) stream.IsHeld = false;
    }

    /// <summary>Lets those run that may now.</summary>
    public void Apply(ReplicaView view, OpenStreams open)
    {
        if (!poison.AnyIsolated && poison.AnyWatched)
        {
            _anyHeld = true;
            Watch(view, open);
            return;
        }
        if (!poison.AnyIsolated)
        {
            if (_anyHeld) Hold(view, open, _ => false);
            _anyHeld = false;
            return;
        }
        _anyHeld = true;
        if (_alone is { } tested && !(open.Has(tested) && IsIsolated(tested))) _alone = null;
        if (_alone is null && poison.Tokens == _tokensAtStart && open.All.Any(stream => !IsIsolated(stream) && !open.IsBehind(stream)))
        {
            Hold(view, open, IsIsolated);
            return;
        }
        if (_alone is null && view.Steps.UnderWay.Count == 0)
            _alone = open.All.Where(stream => IsIsolated(stream) && !open.IsBehind(stream)).MinBy(stream => (poison.TimesOf(IdOf(stream)), IdOf(stream)));
        Hold(view, open, stream => stream != _alone);
    }

    /// <summary>Newcomers wait until whoever else was under way has got a token, so that none of these is suspect when the first of them runs.</summary>
    void Watch(ReplicaView view, OpenStreams open)
    {
        if (_alone is { } running && !(open.Has(running) && IsWatched(running))) _alone = null;
        if (_alone is null
            && !open.All.Any(stream => !IsWatched(stream) && !open.IsBehind(stream) && (poison.Tokens == _tokensAtStart || poison.TimesOf(IdOf(stream)) > 0)))
            _alone = open.All.Where(stream => IsWatched(stream) && !open.IsBehind(stream)).MinBy(IdOf);
        Hold(view, open, stream => IsWatched(stream) && stream != _alone);
    }

    static void Hold(ReplicaView view, OpenStreams open, Func<SequenceStream, bool> held)
    {
        foreach (var stream in open.All)
        {
            if (held(stream) == stream.IsHeld) continue;
            stream.IsHeld = !stream.IsHeld;
            if (stream.IsHeld) view.Scheduler.Pause(stream.Run!);
            else if (!open.IsBehind(stream)) view.Scheduler.Resume(stream.Run!);
        }
    }

    bool IsIsolated(SequenceStream stream) => poison.IsIsolated(IdOf(stream));

    bool IsWatched(SequenceStream stream) => poison.IsWatched(IdOf(stream));

    static ulong IdOf(SequenceStream stream) => stream.Sequence!.Id;
}
