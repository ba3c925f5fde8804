using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Drafts;

/// <summary>What the draft model's loop is told, in order.</summary>
abstract record DraftMessage
{
    DraftMessage() { }

    public sealed record Ask(DraftQuestion Question, Action<DraftAnswer> Answer) : DraftMessage;

    public sealed record Forget(ulong Sequence) : DraftMessage;

    public sealed record Attach(IPipeline Pipeline) : DraftMessage;

    public sealed record Detach(IPipeline Pipeline) : DraftMessage;

    public sealed record Return(IPipeline Pipeline, ScheduledStep Step, StepReturn How) : DraftMessage;

    /// <summary>A prompt's keys are known.</summary>
    public sealed record Wake : DraftMessage
    {
        public static Wake Instance { get; } = new();
    }
}
