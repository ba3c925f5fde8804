namespace LlamaCluster.Kernels;

/// <summary>Activation rows x[B, C] in the form the matrix product reads; made once and used by several matrices.</summary>
public sealed class MatMulInput : IDisposable
{
    readonly NativeBuffer<float> _rows;

    /// <param name="maxRows">The greatest B.</param>
    /// <param name="maxColumns">The greatest C.</param>
    public MatMulInput(int maxRows, int maxColumns)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxRows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxColumns, 1);
        (MaxRows, MaxColumns) = (maxRows, maxColumns);
        _rows = new NativeBuffer<float>(checked((long)maxRows * maxColumns));
    }

    public int MaxRows { get; }

    public int MaxColumns { get; }

    /// <summary>B of the rows that were set last.</summary>
    public int Rows { get; private set; }

    /// <summary>C of the rows that were set last.</summary>
    public int Columns { get; private set; }

    public long Bytes => _rows.Bytes;

    /// <summary>Takes a copy of x[B, C].</summary>
    public void Set(ComputeThreads threads, ReadOnlySpan<float> x, int rows, int columns)
    {
        ArgumentNullException.ThrowIfNull(threads);
        if (rows < 1 || rows > MaxRows) throw new ArgumentOutOfRangeException(nameof(rows), rows, $"1..{MaxRows} rows fit");
        if (columns < 1 || columns > MaxColumns) throw new ArgumentOutOfRangeException(nameof(columns), columns, $"1..{MaxColumns} columns fit");
        if (x.Length != (long)rows * columns) throw new ArgumentException($"x[{rows}, {columns}] does not have {x.Length} elements", nameof(x));
        (Rows, Columns) = (rows, columns);
        x.CopyTo(_rows.Span(0, x.Length));
    }

    internal ReadOnlySpan<float> Row(int row) => _rows.Span((long)row * Columns, Columns);

    public void Dispose() => _rows.Dispose();
}
