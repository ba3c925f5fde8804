using System.Diagnostics;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.KvDisk;

namespace LlamaCluster.Worker.Execution;

/// <summary>What a stage's thread is asked to do, in order of arrival.</summary>
abstract record StageWork
{
    StageWork() { }

    /// <param name="Rows">Of all chunks together; within the limits of the view.</param>
    public sealed record RunStep(ulong StepId, Step Step, int Rows) : StageWork
    {
        /// <summary>Which requests the step's new sequences belong to, as far as that was said.</summary>
        public IReadOnlyList<SequenceRequest> Requests { get; init; } = [];
    }

    /// <summary>A step that begins behind the stage: rows of its journal are sent in place of computed ones.</summary>
    /// <param name="Rows">Of all chunks together; within the limits of the view.</param>
    public sealed record Replay(ulong StepId, IReadOnlyList<ReplayedChunk> Chunks, int Rows) : StageWork;

    /// <summary>A step that cannot be run. It is answered when its turn comes.</summary>
    public sealed record RefuseStep(ulong StepId, StepFailure Failure) : StageWork;

    public sealed record EndSequences(IReadOnlyList<ulong> SequenceIds) : StageWork;

    /// <summary>KV blocks to disk and back; only where the worker has one.</summary>
    /// <param name="Used">On disk, and used just now, the last of them most recently.</param>
    /// <param name="GivenUp">Restores that may put nothing more into their blocks.</param>
    public sealed record MoveBlocks(
        IReadOnlyList<(int Block, PrefixCacheKey Key)> Spills, IReadOnlyList<Restore> Restores, PrefixCacheKey[] Used, IReadOnlyList<ulong> GivenUp)
        : StageWork;

    /// <summary>A block that was read.</summary>
    /// <param name="Bytes">The mover's, which takes them back.</param>
    public sealed record PutBack(Restore Of, int Block, byte[] Bytes) : StageWork;

    /// <summary>No more of a restore will come.</summary>
    public sealed record EndRestore(Restore Of) : StageWork;
}

/// <summary>Consecutive positions of one sequence whose rows are sent again.</summary>
/// <param name="First">Position within the first block.</param>
/// <param name="Blocks">That they stand in.</param>
readonly record struct ReplayedChunk(int First, int Count, IReadOnlyList<int> Blocks);

/// <summary>The client's request that a sequence belongs to, for logs and traces.</summary>
/// <param name="RequestId">"": not known.</param>
/// <param name="Trace">Default: not traced.</param>
/// <param name="PromptLength">Tokens of the sequence's prompt.</param>
sealed record SequenceRequest(ulong SequenceId, string RequestId, ActivityContext Trace, int PromptLength = 0);
