using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Generation;

/// <summary>What the generation loop is told, in order.</summary>
abstract record LoopMessage
{
    LoopMessage() { }

    public sealed record Submitted(SequenceStream Stream) : LoopMessage;

    /// <summary>Nobody reads the stream any more.</summary>
    public sealed record Cancelled(SequenceStream Stream) : LoopMessage;

    public sealed record StepReturned(IPipeline Pipeline, ScheduledStep Step, StepReturn How) : LoopMessage;

    public sealed record Attached(IPipeline Pipeline) : LoopMessage;

    public sealed record Detached(IPipeline Pipeline, string Reason) : LoopMessage;

    /// <summary>Take nothing new; say when nothing runs any more.</summary>
    public sealed record Draining(string Reason, TaskCompletionSource Drained) : LoopMessage;
}
