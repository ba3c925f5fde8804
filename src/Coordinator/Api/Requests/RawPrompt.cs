namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>A prompt of a plain completion: text, or ids that are all in the vocabulary.</summary>
sealed record RawPrompt(string? Text, IReadOnlyList<int> Ids);
