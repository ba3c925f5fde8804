namespace LlamaCluster.Planning.Profiles;

/// <summary>How fast a worker multiplies by weights of one type, in multiply-adds per second, all its threads together.</summary>
/// <param name="OneRow">One row of activations, with weights from a cache: memory may be slower.</param>
/// <param name="ManyRows">Many rows.</param>
public readonly record struct ProductPace(double OneRow, double ManyRows);
