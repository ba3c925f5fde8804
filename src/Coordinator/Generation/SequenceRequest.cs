using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Generation;

/// <summary>One prompt to continue. The API has checked that prompt and generated tokens fit the context.</summary>
/// <param name="StopIds">Ids that end the sequence (reported as its last token, not part of the text).</param>
public sealed record SequenceRequest(IReadOnlyList<int> Prompt, SamplingOptions Sampling, int MaxTokens, IReadOnlySet<int> StopIds)
{
    /// <summary>The lower, the earlier it runs and the later it gives way.</summary>
    public int Priority { get; init; }

    /// <summary>On whose behalf. What there is is shared out evenly among the clients of one priority.</summary>
    public string Client { get; init; } = "";

    /// <summary>KV is shared among requests of the same salt only.</summary>
    public string CacheSalt { get; init; } = "";
}
