using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>Makes sequences as the generation loop does.</summary>
static class TestSequence
{
    public const string Digest = "test";

    public static Sequence Of(ulong id, IReadOnlyList<int> prompt, int maxTokens = 10, SamplingOptions? sampling = null, params int[] stopIds)
        => Of(id, new SequenceRequest(prompt, sampling ?? new SamplingOptions(), maxTokens, stopIds.ToHashSet()));

    public static Sequence Of(ulong id, SequenceRequest request)
        => new(id, request, PrefixChain.Of(PrefixHash.Root(Digest, request.CacheSalt), [.. request.Prompt]));
}
