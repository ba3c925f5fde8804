using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>Makes sequences as the generation loop does.</summary>
static class TestSequence
{
    public const string Digest = "test";

    public static SequenceRun Of(ulong id, IReadOnlyList<int> prompt, int maxTokens = 10, SamplingOptions? sampling = null, params int[] stopIds)
        => Of(id, new SequenceRequest(prompt, sampling ?? new SamplingOptions(), maxTokens, stopIds.ToHashSet()));

    public static SequenceRun Of(ulong id, SequenceRequest request)
    {
        var keys = new PromptKeys(PrefixCacheKey.Root(Digest, request.CacheSalt), request.Prompt);
        keys.Compute();
        return new SequenceRun(new Sequence(id, request, TimeProvider.System), keys);
    }
}
