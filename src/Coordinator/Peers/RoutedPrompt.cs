using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Peers;

/// <summary>A request's prompt as routing sees it.</summary>
/// <param name="Marks">See <see cref="KnownPrefixes"/>.</param>
sealed record RoutedPrompt(ulong[] Marks)
{
    /// <summary>Takes about a microsecond for a block of the prompt.</summary>
    /// <param name="modelDigest">The same for all coordinators; what else KV blocks are keyed by is each machine's own.</param>
    public static RoutedPrompt Of(SequenceRequest request, string modelDigest)
    {
        var keys = PromptKeys.Of(request, modelDigest);
        keys.Compute();
        return new RoutedPrompt(KnownPrefixes.MarksOf(keys));
    }
}
