using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Weights;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Matching;

namespace LlamaCluster.Model.Sequences;

/// <summary>
/// One forward pass of one micro-batch. Activation rows are in the order of the chunks, positions ascending within a chunk.
/// There is no prefill mode and no decode mode: a chunk is any number of consecutive positions of a sequence.
/// </summary>
/// <param name="NewSequences">Facts of sequences that this step names for the first time.</param>
/// <param name="Chunks">At most one per sequence.</param>
public sealed record Step(IReadOnlyList<SequenceStart> NewSequences, IReadOnlyList<Chunk> Chunks)
{
    /// <summary>Done in this order, before the chunks run. A target is in no table yet, and one of the chunks puts it into its own.</summary>
    public IReadOnlyList<BlockCopy> Copies { get; init; } = [];

    /// <summary>Rows that go on behind a stage, to the next one. They are the step's first.</summary>
    /// <param name="endLayer">The layer after the stage's last.</param>
    public int RowsBeyond(int endLayer)
    {
        var rows = 0;
        for (var i = 0; i < Chunks.Count && Chunks[i].Depth > endLayer; i++) rows += Chunks[i].Count;
        return rows;
    }
}

/// <summary>What does not change while a sequence lives.</summary>
/// <param name="PromptLength">Frequency and presence penalties count the tokens from here on.</param>
/// <param name="History">
/// The tokens before the first chunk's start. Needed on the last stage only, where a penalty is on, or where there is a grammar and the answer has begun;
/// else it may be empty.
/// </param>
public sealed record SequenceStart(ulong SequenceId, SamplingOptions Sampling, int PromptLength, IReadOnlyList<int> History)
{
    /// <summary>The form that the answer must have; null: any. Needed on the last stage only.</summary>
    public FollowedGrammar? Grammar { get; init; }

    /// <summary>The adapter that changes the model for this sequence; 0: none.</summary>
    public ulong AdapterId { get; init; }

    /// <summary>Why the sequence cannot run, in one line: its facts are bad. Null as a rule. Its chunks are answered with a failure.</summary>
    public string? Problem { get; init; }
}

/// <summary>A compiled grammar, and the tokens with which its answer is written.</summary>
/// <param name="Vocabulary">The same object for all sequences of a stage: what is found out for one is used for the others.</param>
public sealed record FollowedGrammar(Grammar Grammar, GrammarVocabulary Vocabulary);

/// <summary>Consecutive positions of one sequence that a step computes.</summary>
/// <param name="Start">
/// Position of the first token. It goes on where the sequence's last chunk ended; after a chunk with drafts, behind the last
/// draft that was accepted. A sequence's first chunk may start later than 0 if its blocks already hold what comes before.
/// </param>
/// <param name="Tokens">[Count] on stages that need tokens (the first and the last), else empty.</param>
/// <param name="NewBlocks">Appended to the sequence's block table before the chunk runs.</param>
/// <param name="SampleCount">
/// How many of the last positions are sampled from: 0 while a prompt is not complete, 1 as a rule, 1 + k where the last k tokens
/// are drafts to verify.
/// </param>
public sealed record Chunk(
    ulong SequenceId,
    int Start,
    int Count,
    ReadOnlyMemory<int> Tokens,
    ReadOnlyMemory<int> NewBlocks,
    int SampleCount)
{
    /// <summary>
    /// Layers of the model that the chunk goes through, from the first on; all of them as a rule. Where it goes through fewer, its blocks hold keys and
    /// values in the layers behind already. Chunks of a step come in descending order of this.
    /// </summary>
    public int Depth { get; init; } = int.MaxValue;
}

/// <summary>How a step ended.</summary>
public abstract record StepOutcome
{
    StepOutcome() { }

    /// <param name="Samples">
    /// On the last stage, one per chunk that was sampled from, reports its prompt or ends an embedded text, in chunk order; else empty.
    /// </param>
    public sealed record Completed(IReadOnlyList<SequenceSamples> Samples) : StepOutcome
    {
        /// <summary>
        /// The step's sequences that cannot go on, as far as this stage knows, in chunk order. The others are not affected. Activations that leave
        /// a stage are NaN where their sequence is damaged, so that later stages find it too: the last stage knows of all.
        /// </summary>
        public IReadOnlyList<SequenceFailure> Failures { get; init; } = [];
    }

    /// <summary>The step contradicts what the stage knows: a bug of its sender. Nothing was changed.</summary>
    /// <param name="Reason">One line: which sequence, which field, what is wrong with it.</param>
    public sealed record Refused(string Reason) : StepOutcome;
}

/// <summary>
/// A sequence whose facts are bad or whose numbers are not finite (damaged weights or activations). It has no samples, and each of its chunks is
/// answered with the same failure until the sequence is ended.
/// </summary>
/// <param name="Reason">One line: what is wrong, and where.</param>
/// <param name="IsSound">Its keys and values are right, so that others may share them: only its grammar cannot be followed.</param>
public sealed record SequenceFailure(ulong SequenceId, string Reason, bool IsSound = false);

/// <summary>What a step gave for one of its sequences.</summary>
/// <param name="Tokens">The sampled token; with drafts, the accepted ones and then the first that differs (or the one after the last draft).</param>
/// <param name="Prompt">
/// Log-probabilities of the chunk's own prompt tokens, from the prompt's second token on, where asked for. Each has the
/// id of the prompt's token.
/// </param>
public sealed record SequenceSamples(ulong SequenceId, IReadOnlyList<SampledToken> Tokens, IReadOnlyList<SampledToken> Prompt)
{
    /// <summary>[D] the prompt's pooled hidden states, with the prompt's last chunk, where asked for; else empty.</summary>
    public IReadOnlyList<float> Embedding { get; init; } = [];
}

/// <summary>What a stage may use. All memory that follows from it is allocated once, when the stage is made.</summary>
public sealed record StageOptions
{
    /// <summary>KV blocks of 16 positions, shared by all sequences; valid ids are 0 to this less one.</summary>
    public required int KvBlockCount { get; init; }

    public KvType KvType { get; init; } = KvType.F16;

    /// <summary>The most token positions that one step may bring.</summary>
    public required int MaxStepRows { get; init; }

    /// <summary>The most positions that one sequence may have.</summary>
    public required int MaxSequenceLength { get; init; }

    /// <summary>What sequences may name as their adapters. Null: none may be named, and nothing is allocated for them.</summary>
    public ShardAdapters? Adapters { get; init; }

    /// <summary>KV of a stage before, of which this one takes the layers that it has too. Null: none.</summary>
    public KeptBlocks? Kept { get; init; }
}
