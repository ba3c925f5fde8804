using System.Runtime.CompilerServices;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>A sequence that never ends by itself.</summary>
static class EndlessStream
{
    public static async IAsyncEnumerable<SequenceEvent> After(IEnumerable<SequenceEvent> first, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        foreach (var happened in first) yield return happened;
        await new TaskCompletionSource().Task.WaitAsync(cancellation);
    }
}
