using LlamaCluster.Model.Formats;

namespace LlamaCluster.Worker.Sources;

/// <summary>Consecutive rows of a tensor: what is fetched and cached as one piece.</summary>
sealed record TensorPart(TensorInfo Tensor, long FirstRow, long RowCount)
{
    public long Bytes => checked(RowCount * Tensor.RowBytes);

    public static TensorPart Whole(TensorInfo tensor) => new(tensor, 0, tensor.Rows);
}
