using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>What the scheduler made of sequences that want to come in.</summary>
public enum AddOutcome
{
    Queued,

    /// <summary>Too many sequences wait already.</summary>
    QueueFull,

    /// <summary>Too many sequences of this client wait already.</summary>
    ClientQueueFull,

    /// <summary>The sequence could need more KV blocks than there are in all.</summary>
    NeverFits,
}

/// <summary>What became of a sequence that is to begin.</summary>
public enum BeginOutcome
{
    Begun,

    /// <summary>There are not enough blocks.</summary>
    NoRoom,

    /// <summary>What is on disk of its KV is being read. It waits for that.</summary>
    Restoring,
}

/// <summary>One forward pass of one micro-batch.</summary>
/// <param name="Chunks">Never empty; activation rows are in this order, and those that go deepest come first.</param>
/// <param name="Copies">Blocks to be copied, in this order, before the chunks run.</param>
/// <param name="Ended">Sequences that the workers must forget before this step, because their blocks may be in it under another sequence.</param>
public sealed record ScheduledStep(IReadOnlyList<ScheduledChunk> Chunks, IReadOnlyList<BlockCopy> Copies, IReadOnlyList<ulong> Ended)
{
    /// <summary>B: token positions in all.</summary>
    public int Rows { get; } = Chunks.Sum(chunk => chunk.Count);

    /// <summary>To be sent before this step, after the ends. Null: none.</summary>
    public BlockMoves? Moves { get; init; }

    /// <summary>When it was scheduled, since any fixed moment (<see cref="StepScheduler.Advance"/>).</summary>
    public TimeSpan SentAt { get; init; }

    /// <summary>The layer that the step goes up to. Stages behind do not get it.</summary>
    public int Depth => Chunks[0].Depth;

    /// <summary>
    /// The first layer that all of its chunks go through: a stage's first. If it is not the model's, the stage before sends rows of its journal.
    /// </summary>
    public int From => Chunks[0].From;

    /// <summary>All stages run all of its chunks, and know the same sequences, as a rule.</summary>
    public bool IsForAllAlike
    {
        get
        {
            for (var i = 0; i < Chunks.Count; i++)
                if (Chunks[i] is not { Depth: ScheduledChunk.AllLayers, From: 0, KnownDepth: 0 }) return false;
            return true;
        }
    }
}

/// <summary>What one step computes of one sequence: positions <paramref name="Start"/> .. Start + <paramref name="Count"/>.</summary>
/// <param name="Drafts">Guessed tokens, which stand at the last positions, behind the sequence's known ones.</param>
/// <param name="NewBlocks">Appended to the sequence's block table on the workers before the chunk runs.</param>
/// <param name="SampleCount">How many of the last positions are sampled from; where there are drafts, one more than those.</param>
/// <param name="Introduces">The workers do not know the sequence yet.</param>
public sealed record ScheduledChunk(
    SequenceRun Run, int Start, int Count, IReadOnlyList<int> Drafts, IReadOnlyList<int> NewBlocks, int SampleCount, bool Introduces)
{
    public const int AllLayers = int.MaxValue;

    /// <summary>
    /// The layer that the chunk goes up to. Where it does not go through all, the workers have what comes of it in the layers behind already.
    /// </summary>
    public int Depth { get; init; } = AllLayers;

    /// <summary>The first layer that the chunk goes through; in those before, the workers have what comes of it too.</summary>
    public int From { get; init; }

    /// <summary>The blocks that its positions stand in, where rows of a journal go in.</summary>
    public IReadOnlyList<int> ReplayedBlocks { get; init; } = [];

    /// <summary>
    /// The chunk is the sequence's first that goes through all layers: stages from this layer on, or before <see cref="KnownFrom"/>, do not know the
    /// sequence yet. 0: it is not.
    /// </summary>
    public int KnownDepth { get; init; }

    /// <inheritdoc cref="KnownDepth"/>
    public int KnownFrom { get; init; }

    /// <summary>The sequence's blocks before <see cref="NewBlocks"/>, for those stages.</summary>
    public IReadOnlyList<int> KnownBlocks { get; init; } = [];

    /// <summary>Whether a stage hears of the sequence for the first time.</summary>
    /// <param name="firstLayer">The stage's.</param>
    public bool IsNewTo(int firstLayer) => KnownDepth > 0
        ? firstLayer >= KnownDepth || firstLayer < KnownFrom
        : Introduces && firstLayer >= From && firstLayer < Depth;
}

/// <summary>What a step gave for one of its chunks.</summary>
/// <param name="Tokens">Sampled: at least one and at most the chunk's sample count; empty if that is 0.</param>
/// <param name="Prompt">Log-probabilities of the prompt's tokens that became known, in order, where asked for.</param>
public sealed record ChunkResult(IReadOnlyList<SampledToken> Tokens, IReadOnlyList<SampledToken> Prompt)
{
    /// <summary>[D] the prompt's pooled hidden states, with its last chunk, where asked for; else empty.</summary>
    public IReadOnlyList<float> Embedding { get; init; } = [];

    public static ChunkResult Empty { get; } = new([], []);

    /// <summary>Not null: the workers cannot go on with this sequence. One line that says why.</summary>
    public string? Failure { get; init; }

    /// <summary>The failed sequence's KV is right all the same, so that others may share it.</summary>
    public bool IsSound { get; init; }

    public static ChunkResult Failed(string why, bool isSound = false) => new([], []) { Failure = why, IsSound = isSound };
}

/// <summary>What a returned step brought a sequence that is still wanted.</summary>
/// <param name="Prompt">Log-probabilities of prompt tokens not delivered before.</param>
/// <param name="Finished">Not null: the sequence has ended, its blocks are free.</param>
public sealed record SequenceAdvance(SequenceRun Run, IReadOnlyList<SampledToken> Prompt, IReadOnlyList<SampledToken> Tokens, FinishReason? Finished)
{
    /// <summary>[D] the prompt's pooled hidden states, where asked for, with the end of the sequence; else empty.</summary>
    public IReadOnlyList<float> Embedding { get; init; } = [];

    /// <summary>Not null: the sequence has ended because it failed, for this reason.</summary>
    public string? Failure { get; init; }
}
