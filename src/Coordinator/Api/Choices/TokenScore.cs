using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>A token with its log-probability, placed in its choice's text.</summary>
/// <param name="Offset">Unicode characters of the choice's text before the token's first.</param>
/// <param name="Known">False for a prompt's first token, which nothing predicts.</param>
readonly record struct TokenScore(SampledToken Token, int Offset, bool Known = true);
