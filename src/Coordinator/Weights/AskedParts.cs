using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Model.Formats;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>Parts of tensors that workers name.</summary>
static class AskedParts
{
    /// <exception cref="InvalidMessageException">There is no such tensor, or it has no such rows or columns.</exception>
    public static TensorPart PartOf(this IModelWeights files, TensorRows asked)
    {
        if (files.Find(asked.Name) is not { } tensor) throw new InvalidMessageException("tensors: there is no tensor of this name in the model");
        var (part, problem) = TensorPart.Asked(tensor, asked.FirstRow, asked.RowCount, asked.FirstColumn, asked.ColumnCount);
        return problem is null ? part : throw new InvalidMessageException($"tensors: {problem}");
    }
}
