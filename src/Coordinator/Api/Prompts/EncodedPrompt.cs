namespace LlamaCluster.Coordinator.Api.Prompts;

/// <param name="Text">What /v1/completions echoes: the prompt as given, or what its ids stand for.</param>
/// <param name="Ids">What the model reads.</param>
sealed record EncodedPrompt(string Text, IReadOnlyList<int> Ids);
