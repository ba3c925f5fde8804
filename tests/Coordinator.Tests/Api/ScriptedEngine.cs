using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>An engine that plays what a test has written for it, and remembers what it was asked.</summary>
sealed class ScriptedEngine : IGenerationEngine
{
    readonly ConcurrentQueue<SequenceRequest> _requests = [];

    public EngineStatus Status { get; set; } = new(true, "", 1);

    /// <summary>The events of a sequence.</summary>
    public Func<SequenceRequest, IAsyncEnumerable<SequenceEvent>> Script { get; set; } = _ => Answers.Of("").ToAsyncEnumerable();

    public IReadOnlyList<SequenceRequest> Requests => [.. _requests];

    /// <summary>Completed when a sequence has ended because it was cancelled.</summary>
    public TaskCompletionSource Cancelled { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Play(params SequenceEvent[] events) => Script = _ => events.ToAsyncEnumerable();

    public async IAsyncEnumerable<SequenceEvent> GenerateAsync(SequenceRequest request, [EnumeratorCancellation] CancellationToken cancellation)
    {
        _requests.Enqueue(request);
        try
        {
            await foreach (var happened in Script(request).WithCancellation(cancellation)) yield return happened;
        }
        finally
        {
            if (cancellation.IsCancellationRequested) Cancelled.TrySetResult();
        }
    }
}
