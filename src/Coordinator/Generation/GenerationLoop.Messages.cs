using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Generation;

/// <summary>How others speak to the loop, from any thread.</summary>
public sealed partial class GenerationLoop
{
    /// <summary>Sequences run on this pipeline from now on.</summary>
    public void Attach(IPipeline pipeline) => _inbox.Writer.TryWrite(new LoopMessage.Attached(pipeline));

    /// <summary>Sequences that still run on this pipeline fail, and later ones too, until there is another.</summary>
    /// <param name="reason">One line for clients.</param>
    public void Detach(IPipeline pipeline, string reason) => _inbox.Writer.TryWrite(new LoopMessage.Detached(pipeline, reason));

    /// <summary>Takes no new sequences until the next pipeline is attached.</summary>
    /// <returns>Completes when none is open any more.</returns>
    public Task DrainAsync(string reason)
    {
        var drained = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return _inbox.Writer.TryWrite(new LoopMessage.Draining(reason, drained)) ? drained.Task : Task.CompletedTask;
    }

    internal SequenceStream Submit(SequenceRequest request)
    {
        var stream = new SequenceStream(request, PrefixChain.Of(PrefixHash.Root(model.Digest, request.CacheSalt), [.. request.Prompt]));
        if (!_inbox.Writer.TryWrite(new LoopMessage.Submitted(stream))) stream.Refuse("the coordinator is stopping", Refusal.NotReady);
        return stream;
    }

    /// <summary>Nobody reads the stream any more; does nothing if it has ended.</summary>
    internal void Abandon(SequenceStream stream) => _inbox.Writer.TryWrite(new LoopMessage.Cancelled(stream));
}
