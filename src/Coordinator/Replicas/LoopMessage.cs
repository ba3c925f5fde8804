using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>What the loop is told, in order.</summary>
abstract record LoopMessage
{
    LoopMessage() { }

    public sealed record Submit(IReadOnlyList<SequenceStream> Streams) : LoopMessage;

    /// <summary>Nobody reads the stream any more.</summary>
    public sealed record Abandon(SequenceStream Stream) : LoopMessage;

    public sealed record Return(ReplicaView View, ScheduledStep Step, StepReturn How) : LoopMessage;

    /// <summary>The draft model has answered.</summary>
    public sealed record Drafted(ReplicaView View, DraftAnswer Answer) : LoopMessage;

    /// <summary>A worker said something of the KV blocks on its disk.</summary>
    public sealed record OnDisk(ReplicaView View, DiskReport Report) : LoopMessage;

    public sealed record Attach(IPipeline Pipeline) : LoopMessage;

    /// <summary>The pipeline is of no use any more; its sequences wait for the next one.</summary>
    public sealed record Detach(IPipeline Pipeline, PipelineFailure Why) : LoopMessage;

    /// <summary>Take nothing new; say when nothing runs any more.</summary>
    /// <param name="ForGood">Not even when another pipeline is attached: the process is stopping.</param>
    public sealed record Drain(string Reason, bool ForGood, TaskCompletionSource Drained) : LoopMessage;

    /// <summary>Say how much is open.</summary>
    public sealed record Count(TaskCompletionSource<ReplicaLoad> Counted) : LoopMessage;

    /// <summary>Say which blocks of the last view are full.</summary>
    public sealed record TellFull(ulong View, TaskCompletionSource<FullBlocks> Told) : LoopMessage;

    /// <summary>Look again: a prompt's keys are known, a reader has caught up, or time has passed.</summary>
    public sealed record Wake : LoopMessage
    {
        public static Wake Instance { get; } = new();
    }
}
