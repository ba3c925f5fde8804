using LlamaCluster.Model.Inference;

namespace LlamaCluster.Coordinator.Generation;

/// <summary>One prompt to continue. The API has checked that prompt and generated tokens fit the context.</summary>
/// <param name="StopIds">Ids that end the sequence (reported as its last token, not part of the text).</param>
public sealed record SequenceRequest(IReadOnlyList<int> Prompt, SamplingOptions Sampling, int MaxTokens, IReadOnlySet<int> StopIds);
