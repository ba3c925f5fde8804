namespace LlamaCluster.Planning.Predictions;

/// <summary>What so many streams get that decode at the same time.</summary>
/// <param name="TokensPerSecond">Of all of them together.</param>
/// <param name="SecondsPerToken">Of each.</param>
public sealed record StreamPrediction(int Streams, double TokensPerSecond, double SecondsPerToken);
