namespace LlamaCluster.Coordinator.Api.Requests;

/// <param name="Prompts">At least one.</param>
/// <param name="AddSpecialTokens">Add bos to prompts given as text, where the model asks for it.</param>
/// <param name="Echo">Each choice begins with its prompt.</param>
sealed record CompletionRequest(IReadOnlyList<RawPrompt> Prompts, bool AddSpecialTokens, bool Echo, GenerationSettings Settings);
