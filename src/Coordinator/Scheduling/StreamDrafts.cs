using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>The guessed tokens of streams: takes them into steps where there is room that nobody else asks for, and takes in what became of them.</summary>
sealed class StreamDrafts(SchedulerLimits limits, KvBlockPool pool)
{
    public DraftCounts Counts { get; } = new();

    /// <summary>When a draft model is asked, and what it has answered.</summary>
    public ModelDrafting Model { get; } = new(limits.MaxDraftTokens, limits.DraftTokens);

    /// <summary>Guesses a stream's next tokens.</summary>
    /// <param name="rows">Rows of the step without drafts.</param>
    /// <param name="draftRows">Rows that are left for drafts.</param>
    public int[] Draft(SequenceRun run, RunningSequences sequences, long rows, long draftRows)
    {
        if (limits.MaxDraftTokens == 0 || !run.Drafter.CanDraft(run.Sampling.IsGreedy)) return [];
        // The last token is sampled but never run, and the one before it is sampled with the draft.
        var most = (int)Math.Min(Math.Min(limits.MaxDraftTokens, draftRows), run.MaxTokens - run.Sequence.GeneratedLength - 1);
        var room = run.Blocks.Count * KvBlock.Positions - run.Scheduled - 1;
        if (most > room && pool.Available <= sequences.Running.Count) most = room;
        if (most <= 0) return [];
        var drafts = run.Drafter.Draft(run.Tokens, rows, most, run.Sampling.IsGreedy);
        return sequences.Cache.TryGrow(run, run.Scheduled + 1 + drafts.Length) ? drafts : [];
    }

    /// <summary>Drafts that were right have been computed as if they had been known.</summary>
    public void Verify(ScheduledChunk chunk, int accepted)
    {
        var (drafter, drafted) = (chunk.Run.Drafter, chunk.Drafts.Count);
        chunk.Run.Scheduled += accepted;
        drafter.Verified(drafted, accepted);
        Counts.Add(drafter.Source, drafted, accepted);
        if (drafter.Source == DraftSource.Model) Model.Verified(drafted, accepted);
    }

    /// <summary>A block that drafts have filled can be found at once: a sequence that ends with them is in no later step.</summary>
    /// <param name="step">The number of the last step of the view.</param>
    public void Publish(SequenceRun run, PrefixCache cache, ulong step)
    {
        run.Scheduled = Math.Min(run.Scheduled, run.Tokens.Count);   // an end among the drafts leaves the others out
        cache.Publish(run, step);
    }
}
