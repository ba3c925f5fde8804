namespace LlamaCluster.Coordinator.Planning.Profiles;

/// <summary>How fast a worker multiplies by weights of one type, in multiply-adds per second, all its threads together.</summary>
/// <param name="OneRow">One row of activations: it waits for memory.</param>
/// <param name="ManyRows">Enough rows that it does not.</param>
public readonly record struct ProductPace(double OneRow, double ManyRows);
