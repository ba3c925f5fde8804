using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Generation;

/// <summary>What the loop does when requests and pipelines come and go.</summary>
public sealed partial class GenerationLoop
{
    void Submit(SequenceStream stream)
    {
        if (_refusal is not null)
        {
            Refuse(stream, Refusal.NotReady, $"{_refusal}; {Again}");
            return;
        }
        var sequence = new Sequence(++_lastSequence, stream.Request, stream.Prefixes);
        switch (_scheduler!.Add(sequence))
        {
            case AddOutcome.Queued:
                stream.Sequence = sequence;
                _open.Add(sequence.Id, stream);
                break;
            case AddOutcome.QueueFull:
                Refuse(stream, Refusal.QueueFull, $"{_scheduler.RunningCount} sequences run and {_scheduler.WaitingCount} wait already; send the request again later");
                break;
            case AddOutcome.NeverFits:
                Refuse(stream, Refusal.TooLarge, $"the request may need {sequence.MaxPositions} positions of KV cache, but the cluster has room for "
                    + $"{_scheduler.Pool.Total * KvBlock.Positions}; shorten the prompt or ask for fewer tokens");
                break;
        }
    }

    void Cancel(SequenceStream stream)
    {
        if (stream.Sequence is not { } sequence || !_open.Remove(sequence.Id)) return;
        _scheduler!.Cancel(sequence);
        metrics.SequenceEnded("cancelled");
    }

    void Refuse(SequenceStream stream, Refusal why, string message)
    {
        stream.Refuse(message, why);
        metrics.SequenceEnded("refused");
    }

    void Take(IPipeline pipeline)
    {
        var limits = new SchedulerLimits
        {
            StepsInFlight = pipeline.StageCount,
            MaxStepRows = options.MaxStepRows,
            MaxPromptRows = options.MaxPromptRows,
            MaxRunning = options.MaxRunning,
            MaxWaiting = options.MaxWaiting,
            CachePrefixes = options.CachePrefixes,
            MaxDraftTokens = options.Speculate ? MostDrafted : 0,
        };
        (_pipeline, _scheduler, _refusal) = (pipeline, new StepScheduler(limits, new KvBlockPool(pipeline.KvBlocks)), null);
        _lastReturn = Task.CompletedTask;
    }

    /// <summary>The pipeline is of no use any more: every sequence ends with the reason.</summary>
    void Leave(string reason)
    {
        (_pipeline, _scheduler, _refusal) = (null, null, reason);
        foreach (var stream in _open.Values)
        {
            stream.Fail($"{reason}, and the request with it; {Again}", retryable: true);
            metrics.SequenceEnded("failed");
        }
        _open.Clear();
        _drained?.TrySetResult();
        metrics.Observe(null);
    }
}
