using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>What a worker says it has of earlier views' KV.</summary>
/// <param name="Layers">The layers of its shard in which it has it.</param>
/// <param name="LastSteps">By view: the last step that it ran to its end. Blocks have held the same since.</param>
/// <param name="From">
/// By block id: the layer from which on, up to the last of these, the block is full of what can be used; the end of these: from none.
/// </param>
public sealed record WorkerKeeps(LayerRange Layers, IReadOnlyDictionary<ulong, ulong> LastSteps, IReadOnlyList<int> From)
{
    /// <summary>By block id: whether its journal has the rows that went on behind its last layer for all of the block's positions.</summary>
    public IReadOnlyList<bool> Journal { get; init; } = [];
}

/// <summary>What the workers of a stage still have.</summary>
/// <param name="Layers">Of the stage.</param>
/// <param name="Ranks">One for each; null: it has nothing.</param>
public sealed record StageKeeps(LayerRange Layers, IReadOnlyList<WorkerKeeps?> Ranks);

/// <summary>Which steps filled a block.</summary>
/// <param name="Step">The last of them, by its number in the view; 0: it was full when the view began.</param>
/// <param name="Depth">The layer that they went up to. In those from it on, it was full when the view began.</param>
/// <param name="From">The first layer that they went through. In those below, it was full when the view began too.</param>
public readonly record struct BlockFill(ulong Step, int Depth, int From = 0)
{
    /// <summary>In all layers, before the view began or beside its steps.</summary>
    public static BlockFill Before => new(0, 0);

    /// <summary>The block lacks its content in some layers, and no step has filled them yet.</summary>
    /// <param name="depth">The layer after the last of them.</param>
    /// <param name="from">The first of them. Above 0: the stage that ends before it has what goes into it in a journal.</param>
    public static BlockFill Lacking(int depth, int from = 0) => new(ulong.MaxValue, depth, from);

    public bool IsLacking => Step == ulong.MaxValue;
}

/// <summary>A full block.</summary>
/// <param name="Key">Of the prefix that fills it.</param>
public readonly record struct FullBlock(int Block, PrefixCacheKey Key, BlockFill Fill);

/// <summary>
/// Finds out what of the blocks of one view is still there in the next. Blocks keep their ids, and workers run steps in order. So a worker that keeps a layer
/// has a block's content there if it has run the step that filled it: whoever used the block for something else since would have taken it out of the pool.
/// <para>
/// What is there in the last layers is worth keeping, since what is lost in the first ones can be computed again without the others: by the stages up to the
/// last layer that lacks it. What is there in the first ones is, if the stage behind which something is lacking kept what it sent: then nobody before
/// computes anything. Without such a journal, what is lost in the last layer takes all of them.
/// </para>
/// </summary>
public static class KeptPrefixes
{
    /// <param name="last">The pool of the last view.</param>
    /// <param name="view">Its version.</param>
    /// <param name="stages">Of the next view, in order.</param>
    /// <param name="blocks">How many the next view has.</param>
    /// <returns>In the order of <see cref="KvBlockPool.Full"/>; each says how deep it lacks its content.</returns>
    public static IEnumerable<FullBlock> Of(KvBlockPool last, ulong view, IReadOnlyList<StageKeeps> stages, int blocks)
    {
        if (stages.Count == 0) yield break;
        var layers = stages[^1].Layers.End;
        foreach (var full in last.Full)
        {
            if (full.Block >= blocks) continue;
            var (from, depth) = LackOf(full, view, stages);
            if (depth == 0) yield return full with { Fill = BlockFill.Before };
            else if (from > 0 || depth < layers) yield return full with { Fill = BlockFill.Lacking(depth < layers ? depth : ScheduledChunk.AllLayers, from) };
        }
    }

    /// <summary>
    /// The layers that have to be run, so that none lacks the block's content: up to the last that does, from the last journal before the first that does.
    /// </summary>
    static (int From, int Depth) LackOf(FullBlock full, ulong view, IReadOnlyList<StageKeeps> stages)
    {
        var (lowest, depth) = (0, 0);
        for (var i = stages.Count - 1; i >= 0; i--)
        {
            var stage = stages[i].Layers;
            var from = stage.First;
            foreach (var rank in stages[i].Ranks) from = Math.Max(from, HasFrom(rank, full, view, stage));
            if (from == stage.First) continue;
            lowest = i;
            if (depth == 0) depth = from;
        }
        while (lowest > 0 && !HasJournal(stages[lowest - 1], stages[lowest].Ranks.Count, full, view)) lowest--;
        return (stages[lowest].Layers.First, depth);
    }

    /// <param name="fed">Ranks of the next stage. As many of this one send something.</param>
    static bool HasJournal(StageKeeps stage, int fed, FullBlock full, ulong view)
    {
        var end = stage.Layers.End;
        // A step that filled layers on one side of it only sent nothing on.
        var isUntouched = full.Fill.Depth <= end || full.Fill.From >= end;
        return stage.Ranks.Take(fed).All(rank =>
            rank is not null && rank.Layers.End == end && full.Block < rank.Journal.Count && rank.Journal[full.Block]
            && rank.LastSteps.TryGetValue(view, out var ran) && (isUntouched || ran >= full.Fill.Step));
    }

    /// <summary>
    /// The first layer of a stage from which on a rank has the block's content, to the stage's end; that end if it does not have it in the last layer.
    /// </summary>
    static int HasFrom(WorkerKeeps? rank, FullBlock full, ulong view, LayerRange stage)
    {
        if (rank is null || rank.Layers.End != stage.End || full.Block >= rank.From.Count) return stage.End;
        if (!rank.LastSteps.TryGetValue(view, out var ran)) return stage.End;
        var from = ran >= full.Fill.Step || stage.End <= full.Fill.From ? rank.From[full.Block] : Math.Max(rank.From[full.Block], full.Fill.Depth);
        return Math.Min(from, stage.End);
    }
}
