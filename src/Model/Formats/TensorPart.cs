using LlamaCluster.Kernels;

namespace LlamaCluster.Model.Formats;

/// <summary>Consecutive rows of a tensor, and of these consecutive columns: what is read, fetched and cached as one piece.</summary>
/// <param name="FirstColumn">The start of a block of the tensor's type.</param>
/// <param name="ColumnCount">Whole blocks.</param>
public sealed record TensorPart(TensorInfo Tensor, long FirstRow, long RowCount, long FirstColumn, long ColumnCount)
{
    public bool HasWholeRows => ColumnCount == Tensor.Columns;

    /// <summary>Bytes of a row of the part.</summary>
    public long RowBytes => Tensor.Type.RowBytes(ColumnCount);

    /// <summary>Bytes of a row of the tensor before those of the part.</summary>
    public long BytesBefore => Tensor.Type.RowBytes(FirstColumn);

    public long Bytes => checked(RowCount * RowBytes);

    public static TensorPart Whole(TensorInfo tensor) => Rows(tensor, 0, tensor.Rows);

    public static TensorPart Rows(TensorInfo tensor, long first, long count) => new(tensor, first, count, 0, tensor.Columns);

    /// <summary>The columns asked for, and those that are stored in blocks with them.</summary>
    public static TensorPart Columns(TensorInfo tensor, long first, long count)
    {
        var block = tensor.Type.BlockSize();
        var start = first / block * block;
        return new(tensor, 0, tensor.Rows, start, ((first + count + block - 1) / block * block) - start);
    }

    /// <summary>Some rows of the part.</summary>
    /// <param name="first">Counted from the part's first.</param>
    public TensorPart Piece(long first, long count) => this with { FirstRow = FirstRow + first, RowCount = count };

    /// <summary>Why the tensor has no such part, in one line; null if it has.</summary>
    public string? FirstProblem()
    {
        var block = Tensor.Type.BlockSize();
        if (FirstRow < 0 || RowCount < 0 || RowCount > Tensor.Rows - FirstRow) return $"{RowCount} rows from {FirstRow} of {Tensor.Name} are not in its {Tensor.Rows} rows";
        if (FirstColumn < 0 || ColumnCount < 1 || ColumnCount > Tensor.Columns - FirstColumn)
            return $"{ColumnCount} columns from {FirstColumn} of {Tensor.Name} are not in its {Tensor.Columns} columns";
        return FirstColumn % block == 0 && ColumnCount % block == 0
            ? null
            : $"{ColumnCount} columns from {FirstColumn} of {Tensor.Name} are not whole {Tensor.Type} blocks of {block}";
    }

    /// <summary>Throws unless the tensor has this part and <paramref name="bytes"/> are its size.</summary>
    /// <exception cref="ArgumentException">A mistake of the caller.</exception>
    public void Check(int bytes)
    {
        if (FirstProblem() is { } problem) throw new ArgumentException(problem);
        if (bytes != Bytes) throw new ArgumentException($"{Bytes} bytes of {Tensor.Name} do not fit in {bytes} exactly", nameof(bytes));
    }
}
