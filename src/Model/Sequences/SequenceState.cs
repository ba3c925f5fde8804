using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Sampling;
using LlamaCluster.Model.Weights;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Sequences;

/// <summary>What a stage keeps of one sequence: facts, block table, position, and on the last stage what sampling needs.</summary>
/// <param name="history">The tokens so far; null where no penalty asks for them.</param>
/// <param name="answer">Where the answer stands by its grammar; null where there is none.</param>
sealed class SequenceState(SequenceStart facts, int maxBlocks, TokenHistory? history, AnswerState? answer) : IDisposable
{
    readonly int[] _blocks = new int[maxBlocks];

    public ulong Id => facts.SequenceId;

    public SamplingOptions Sampling => facts.Sampling;

    public int PromptLength => facts.PromptLength;

    public TokenHistory? History => history;

    public AnswerState? Answer => answer;

    /// <summary>What changes the model for this sequence, in use by it; null: nothing.</summary>
    public ShardAdapter? Adapter { get; init; }

    /// <summary>V: its ids are below it.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Block ids in the order of positions.</summary>
    public ReadOnlySpan<int> Blocks => _blocks.AsSpan(0, BlockCount);

    public int BlockCount { get; private set; }

    /// <summary>Where the next chunk may start at the earliest: not before positions that are settled.</summary>
    public int EarliestStart { get; private set; }

    /// <summary>Where the next chunk may start at the latest: after what has been computed. A new sequence's blocks may hold anything.</summary>
    public int LatestStart { get; private set; } = int.MaxValue;

    /// <summary>Layers that its last chunk went through, from the model's first on.</summary>
    public int Depth { get; private set; } = int.MaxValue;

    public bool IsNew => LatestStart == int.MaxValue;

    /// <summary>Why the sequence cannot go on; null while all is well. The first reason stays, and the sequence stays known, until it is ended.</summary>
    public string? Failure { get; private set; }

    /// <summary>
    /// Some of the sequence's keys or values are not finite. In later steps its rows are zeros, which harm nobody and cost no more than others, and
    /// become NaN at the end.
    /// </summary>
    public bool IsDamaged { get; private set; }

    /// <summary>The step that last had a chunk of this sequence.</summary>
    public long LastStep { get; set; }

    /// <summary>x[D] of the last position of a prompt's part, from which the next part's first token is scored.</summary>
    public float[]? LastRow { get; set; }

    /// <summary>[D] what has been pooled of the prompt's hidden states so far; null where nothing is.</summary>
    public double[]? Pooled { get; set; }

    /// <summary>The first failure says nothing against its keys and values, and nothing else has been found.</summary>
    public bool IsSound { get; private set; }

    /// <summary>The sequence gives no samples any more. What it computes is right as far as it goes.</summary>
    /// <param name="isSound">Its keys and values are known to be right.</param>
    public void Fail(string reason, bool isSound = false)
    {
        IsSound = isSound && (Failure is null || IsSound);
        Failure ??= reason;
    }

    public void Damage(string reason)
    {
        IsDamaged = true;
        Fail(reason);
    }

    public bool HasRoomFor(int blocks) => blocks <= _blocks.Length - BlockCount;

    public void Append(int block) => _blocks[BlockCount++] = block;

    /// <summary>Takes the last block back.</summary>
    public int RemoveLast() => _blocks[--BlockCount];

    public AttentionChunk Chunk(int firstRow, Chunk chunk) => new(firstRow, chunk.Count, chunk.Start, _blocks);

    /// <summary>The chunk has run. Of its drafts, any number may be dropped, or exactly those after <paramref name="accepted"/>.</summary>
    public void Advance(Chunk chunk, int? accepted)
    {
        var end = chunk.Start + chunk.Count;
        var drafts = Math.Max(0, chunk.SampleCount - 1);
        EarliestStart = end - drafts + (accepted ?? 0);
        LatestStart = accepted is null ? end : EarliestStart;
        Depth = chunk.Depth;
    }

    public void Dispose() => Adapter?.Dispose();
}
