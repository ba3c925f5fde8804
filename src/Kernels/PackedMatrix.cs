namespace LlamaCluster.Kernels;

/// <summary>Read-only weights w[R, C] in the form the matrix product reads.</summary>
public sealed class PackedMatrix : IDisposable
{
    /// <summary>Rows that are packed together: <see cref="Pack"/> starts at multiples of it.</summary>
    public const int RowGroup = 16;

    readonly NativeBuffer<byte> _stored;
    readonly int _rowBytes;

    /// <param name="rows">R, the product's outputs.</param>
    /// <param name="columns">C, a multiple of the type's block size.</param>
    public PackedMatrix(TensorType type, int rows, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        (Type, Rows, Columns) = (type, rows, columns);
        _rowBytes = checked((int)type.RowBytes(columns));
        _stored = new NativeBuffer<byte>(checked((long)rows * _rowBytes));
    }

    public TensorType Type { get; }

    public int Rows { get; }

    public int Columns { get; }

    /// <summary>Resident size.</summary>
    public long Bytes => _stored.Bytes;

    /// <summary>
    /// Takes rows <paramref name="firstRow"/>.. as they are stored in a model file. Several threads may pack different rows at a time.
    /// </summary>
    /// <param name="firstRow">A multiple of <see cref="RowGroup"/>.</param>
    /// <param name="storedRows">Whole rows; a multiple of <see cref="RowGroup"/> of them, or all that are left.</param>
    public void Pack(int firstRow, ReadOnlySpan<byte> storedRows)
    {
        var (rows, rest) = Math.DivRem(storedRows.Length, _rowBytes);
        if (rest != 0) throw new ArgumentException($"{storedRows.Length} bytes are not whole rows of {_rowBytes}", nameof(storedRows));
        if (firstRow < 0 || firstRow % RowGroup != 0 || rows > Rows - firstRow || (rows % RowGroup != 0 && firstRow + rows != Rows))
            throw new ArgumentOutOfRangeException(nameof(firstRow), $"rows {firstRow}..+{rows} are not whole groups of {RowGroup} within {Rows} rows");
        storedRows.CopyTo(_stored.Span((long)firstRow * _rowBytes, storedRows.Length));
    }

    /// <summary>The floats that a row stands for, exactly as <see cref="RowDecoder"/> gives them.</summary>
    public void DecodeRow(int row, Span<float> destination)
    {
        if ((uint)row >= (uint)Rows) throw new ArgumentOutOfRangeException(nameof(row), row, $"the matrix has {Rows} rows");
        if (destination.Length != Columns) throw new ArgumentException($"a row has {Columns} elements, not {destination.Length}", nameof(destination));
        RowDecoder.Decode(Type, _stored.Span((long)row * _rowBytes, _rowBytes), destination);
    }

    public void Dispose() => _stored.Dispose();
}
