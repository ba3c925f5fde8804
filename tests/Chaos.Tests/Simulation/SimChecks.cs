using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Supervision;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>What must hold at any time, beside the tokens.</summary>
sealed class SimChecks(Simulator simulator, Coordinator.ClusterDeadlines deadlines)
{
    /// <summary>Workers that are taken away from a sequence so often look as if it had ended them.</summary>
    const int Deadly = 3;

    static readonly TimeSpan SoonAfterEachOther = TimeSpan.FromSeconds(30);

    readonly Queue<long> _faults = [];
    long _lastToken;
    ulong _lastView;

    /// <param name="view">Which is in force.</param>
    public void TokenCame(ulong view)
    {
        if (view < _lastView) simulator.Fail($"view {view} is in force after view {_lastView}");
        (_lastToken, _lastView) = (simulator.Now, view);
    }

    /// <summary>A worker was taken away, for a while or for good.</summary>
    public void Fault()
    {
        _faults.Enqueue(simulator.Now);
        if (_faults.Count > Deadly) _faults.Dequeue();
    }

    /// <summary>
    /// A sequence that breaks nothing may only end early because nobody could compute for too long, or because faults that followed each other at once all
    /// hit it: nobody could tell those from its own doing.
    /// </summary>
    public void Failed(SimRequest request, SequenceEvent.Failed failed)
    {
        var looksHarmful = _faults.Count == Deadly && simulator.Now - _faults.Peek() < SoonAfterEachOther.Ticks;
        if (!failed.Retryable && looksHarmful) return;
        var since = TimeSpan.FromTicks(simulator.Now - _lastToken);
        if (!failed.Retryable) simulator.Fail($"{request} failed though it harms nobody: {failed.Message}");
        else if (since < deadlines.Recovery - TimeSpan.FromSeconds(1))
            simulator.Fail($"{request} was given up {since.TotalSeconds:0.0} s after a token: {failed.Message}");
    }

    public void Refused(SimRequest request, SequenceEvent.Refused refused, ClusterStatus status)
    {
        if (refused.Why is Refusal.NotReady && !status.IsReady) return;
        if (refused.Why is Refusal.QueueFull or Refusal.ClientQueueFull) return;
        if (refused.Why is Refusal.WaitedTooLong) return;
        simulator.Fail($"{request} was refused: {refused.Why}, {refused.Message}; the cluster is {status.Phase}");
    }
}
