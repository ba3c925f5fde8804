using LlamaCluster.Model.Sequences;

namespace LlamaCluster.Worker.Execution;

/// <summary>What a stage's thread is asked to do, in order of arrival.</summary>
abstract record StageWork
{
    StageWork() { }

    /// <param name="Rows">Of all chunks together; within the limits of the view.</param>
    public sealed record RunStep(ulong StepId, Step Step, int Rows) : StageWork;

    /// <summary>A step that cannot be run, answered when its turn comes.</summary>
    public sealed record RefuseStep(ulong StepId, StepFailure Failure) : StageWork;

    public sealed record EndSequences(IReadOnlyList<ulong> SequenceIds) : StageWork;
}
