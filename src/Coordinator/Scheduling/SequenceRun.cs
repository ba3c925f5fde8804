using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Grammars.Drafting;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// A sequence in the hands of one scheduler: what it holds, what the workers of this view know of it, and how far it is. Every view makes
/// a new one. There is no prefill and no decode: tokens are known, and some of them are scheduled.
/// </summary>
/// <param name="forced">Follows the form that the answer must have, from its beginning; null: there is none.</param>
public sealed class SequenceRun(Sequence sequence, PromptKeys prompt, ForcedText? forced = null)
{
    public Sequence Sequence => sequence;

    public ulong Id { get; } = sequence.Id;

    public TokenHistory Tokens { get; } = sequence.Tokens;

    public SamplingOptions Sampling { get; } = sequence.Request.Sampling;

    public int MaxTokens { get; } = sequence.Request.MaxTokens;

    /// <summary>The lower, the earlier.</summary>
    public int Priority { get; } = sequence.Request.Priority;

    public string Client => sequence.Request.Client;

    /// <summary>Its tokens behind the prompt may turn out to be others (<see cref="StepScheduler.Rewrite"/>): nobody shares what is computed of them.</summary>
    public bool IsProvisional { get; init; }

    /// <summary>So many of its tokens stay as they are.</summary>
    internal int Lasting => IsProvisional ? Sequence.PromptLength : Tokens.Count;

    /// <summary>Positions that were handed to a step, whether it has returned or not, or were computed by others.</summary>
    public int Scheduled { get; internal set; }

    /// <summary>Known tokens that no step has been given yet; 0 while the next one is being computed.</summary>
    public int Unscheduled => Tokens.Count - Scheduled;

    public int StepsInFlight { get; internal set; }

    public bool Ended { get; internal set; }

    /// <summary>Its reader is far behind: it is in no further step until the reader has caught up.</summary>
    public bool Paused { get; internal set; }

    /// <summary>It can be scheduled as soon as there is room.</summary>
    internal bool IsReady => !Paused && Keys.AreKnown;

    internal SequenceKeys Keys { get; } = new(prompt, sequence.Tokens);

    /// <summary>Guesses the sequence's next tokens.</summary>
    internal Drafter Drafter { get; } = new(forced);

    /// <summary>The share of its client; set when it is added to a scheduler.</summary>
    internal ClientShare Share { get; set; } = null!;

    /// <summary>KV blocks held, in position order.</summary>
    internal List<int> Blocks { get; } = [];

    /// <summary>How many of <see cref="Blocks"/> the workers know of.</summary>
    internal int BlocksAnnounced { get; set; }

    /// <summary>How many of <see cref="Blocks"/>, all full, can be found by others.</summary>
    internal int PublishedBlocks { get; set; }

    /// <summary>How many tokens were known when the sequence began, if they end within a block that cannot be found yet.</summary>
    internal int? PartialEnd { get; set; }

    /// <summary>To be made by the step that introduces the sequence.</summary>
    internal BlockCopy? Copy { get; set; }

    /// <summary>The block that the sequence goes on from a copy of, and the key it was found by.</summary>
    internal (PrefixCacheKey Key, int Block)? CopiedFrom { get; set; }

    /// <summary>What another sequence is about to compute and this one waits for.</summary>
    internal PrefixCacheKey? AwaitedPrefix { get; set; }

    /// <summary>
    /// Positions before it, from those on that were found when the sequence began, stand in blocks that lack them in some layers. Others go through all layers.
    /// </summary>
    internal int FillEnd { get; set; }

    /// <summary>The layer that those positions go up to.</summary>
    internal int FillDepth { get; set; }

    /// <summary>The first layer that they go through; what goes into it is in a journal, if it is not the model's first.</summary>
    internal int FillFrom { get; set; }

    /// <summary>The layer that a position goes up to.</summary>
    internal int DepthAt(int position) => position < FillEnd ? FillDepth : ScheduledChunk.AllLayers;

    /// <summary>The first layer that a position goes through.</summary>
    internal int FromAt(int position) => position < FillEnd ? FillFrom : 0;

    /// <summary>The same, of its next position.</summary>
    internal int NextFrom => FromAt(Scheduled);

    /// <summary>The step that last had a chunk of it, by its number.</summary>
    internal ulong LastStep { get; set; }

    /// <summary>Another view had begun with it, and it has not begun in this one.</summary>
    internal bool IsCarriedOver { get; set; }

    /// <summary>The workers know this sequence.</summary>
    internal bool Announced { get; set; }

    /// <summary>Prompt log-probabilities returned since the sequence was last started from its beginning.</summary>
    internal int PromptReported { get; set; }

    /// <summary>Known tokens that its next chunk can have: all of a chunk's positions go through the same layers.</summary>
    internal int Ahead => Scheduled < FillEnd ? FillEnd - Scheduled : Unscheduled;

    /// <summary>Its next chunk, which is scheduled from now on.</summary>
    /// <param name="count">How many known tokens; at most <see cref="Ahead"/>.</param>
    /// <param name="step">The number of the step.</param>
    internal ScheduledChunk Take(int count, int[] drafts, ulong step)
    {
        var start = Scheduled;
        // Blocks that were announced for drafts which turned out wrong are still there.
        var blocks = Math.Max(BlocksAnnounced, KvBlock.CountFor(start + count + drafts.Length));
        var goesDeeper = Announced && start > 0 && start == FillEnd;
        var chunk = new ScheduledChunk(
            this, start, count + drafts.Length, drafts,
            NewBlocks: blocks == BlocksAnnounced ? [] : Blocks.GetRange(BlocksAnnounced, blocks - BlocksAnnounced),
            SampleCount: start + count == Tokens.Count && MaxTokens > 0 ? 1 + drafts.Length : 0,
            Introduces: !Announced)
        {
            Depth = DepthAt(start),
            From = FromAt(start),
            ReplayedBlocks = FromAt(start) > 0 ? Blocks.GetRange(start / KvBlock.Positions, KvBlock.CountFor(start + count) - start / KvBlock.Positions) : [],
            KnownDepth = goesDeeper ? FillDepth : 0,
            KnownFrom = goesDeeper ? FillFrom : 0,
            KnownBlocks = goesDeeper ? Blocks.GetRange(0, BlocksAnnounced) : [],
        };
        Scheduled += count;
        StepsInFlight++;
        (BlocksAnnounced, Announced, LastStep) = (blocks, true, step);
        Share.Serve(count);
        return chunk;
    }

    /// <summary>A sequence that was preempted while its prompt ran reports the prompt's beginning again. It must not be delivered twice.</summary>
    internal IReadOnlyList<SampledToken> Undelivered(IReadOnlyList<SampledToken> reported)
    {
        var known = Math.Clamp(Sequence.PromptDelivered - PromptReported, 0, reported.Count);
        PromptReported += reported.Count;
        Sequence.PromptDelivered = Math.Max(Sequence.PromptDelivered, PromptReported);
        return known == 0 ? reported : [.. reported.Skip(known)];
    }
}
