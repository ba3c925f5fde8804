using LlamaCluster.Coordinator.Api.Prompts;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>One choice of a response: a sequence, and what to make of its tokens.</summary>
/// <param name="Prompt">Which of the request's prompts it continues.</param>
/// <param name="Stops">Texts that end it.</param>
/// <param name="Echo">The choice begins with this prompt; null: it does not.</param>
/// <param name="Hidden">The sequence's only token is not asked for: it is run to score the prompt.</param>
sealed record ChoiceRequest(int Index, int Prompt, SequenceRequest Sequence, IReadOnlyList<string> Stops, EncodedPrompt? Echo, bool Hidden);
