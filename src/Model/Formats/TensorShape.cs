namespace LlamaCluster.Model.Formats;

/// <summary>A tensor's name and shape, [Rows, Columns]; a vector has one row.</summary>
public sealed record TensorShape(string Name, long Rows, long Columns);
