using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Benchmarks.Scale;

/// <summary>A scheduler alone with very many sequences.</summary>
/// <param name="clients">Among whom the sequences are shared.</param>
/// <param name="running">Of the sequences, how many may run at a time.</param>
/// <param name="blocks">KV blocks in all.</param>
sealed class SchedulerScale(int sequences, int promptTokens, int clients, int running, int blocks, int stages)
{
    const int MaxTokens = 5000;

    static readonly ChunkResult OneToken = new([new SampledToken(5, -1, [])], []);

    readonly StepScheduler _scheduler = new(
        new SchedulerLimits { StepsInFlight = stages, MaxStepRows = 2 * sequences, MaxPromptRows = 4096, MaxRunning = running, MaxWaiting = sequences },
        new KvBlockPool(blocks));

    readonly Queue<ScheduledStep> _underWay = [];

    public StepScheduler Scheduler => _scheduler;

    /// <summary>Every sequence arrives, with a prompt of its own.</summary>
    public void AddAll()
    {
        for (var i = 0; i < sequences; i++)
        {
            int[] prompt = [i, .. Enumerable.Repeat(7, promptTokens - 1)];
            var request = new SequenceRequest(prompt, new SamplingOptions(), MaxTokens, new HashSet<int>()) { Client = $"{i % clients}" };
            var keys = PromptKeys.Of(request, "model");
            keys.Compute();
            var outcome = _scheduler.Add(new SequenceRun(new Sequence((ulong)i + 1, request, TimeProvider.System), keys));
            if (outcome != AddOutcome.Queued) throw new InvalidOperationException($"sequence {i} was not queued: {outcome}");
        }
    }

    /// <summary>Schedules as many steps as can be under way; the first of them returns.</summary>
    public void Step()
    {
        while (_underWay.Count < stages && _scheduler.Schedule() is { } step) _underWay.Enqueue(step);
        var returned = _underWay.Dequeue();
        var results = new ChunkResult[returned.Chunks.Count];
        for (var i = 0; i < results.Length; i++) results[i] = returned.Chunks[i].SampleCount > 0 ? OneToken : ChunkResult.Empty;
        _scheduler.Complete(returned, results);
    }
}
