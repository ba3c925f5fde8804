using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Inspection;

/// <summary>How many of a model's tensors are of a type, and the bytes they take as they are stored.</summary>
public sealed record TensorTypeFacts(TensorType Type, int Count, long Bytes);
