using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>What a choice has gained: text that will not change, with the log-probabilities that belong to it.</summary>
/// <param name="Scores">Empty where none were asked for.</param>
/// <param name="Finish">Set with the choice's last delta.</param>
sealed record ChoiceDelta(int Index, string Text, IReadOnlyList<TokenScore> Scores, FinishReason? Finish);
