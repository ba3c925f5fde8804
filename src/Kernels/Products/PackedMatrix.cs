using LlamaCluster.Kernels.Formats;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Products;

/// <summary>
/// Read-only weights w[R, C] in the form the matrix product reads: 16 rows interleaved, so that a vector's lane is a row (docs/numerics.md has
/// the layouts). Takes at most 4 % more than the stored bytes, besides rows up to a multiple of 16.
/// </summary>
public sealed unsafe class PackedMatrix : IDisposable
{
    readonly IMatrixLayout _layout;
    readonly NativeBuffer<byte> _memory;
    readonly long _first;
    readonly MatrixMemory? _shared;
    readonly int _rowBytes;
    bool _isFreed;

    /// <summary>A matrix in memory of its own.</summary>
    /// <param name="rows">R, the product's outputs; 1 or more.</param>
    /// <param name="columns">C, a multiple of the type's block size.</param>
    /// <exception cref="ArgumentException">A dimension is not positive, or the columns are not whole blocks.</exception>
    /// <exception cref="OverflowException">A row has more than 2 GiB.</exception>
    /// <exception cref="OutOfMemoryException">The system has no such amount of memory.</exception>
    public PackedMatrix(TensorType type, int rows, int columns) : this(type, rows, columns, null) { }

    /// <param name="shared">Where the matrix finds its place; null: it has memory of its own.</param>
    internal PackedMatrix(TensorType type, int rows, int columns, MatrixMemory? shared)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        (Type, Rows, Columns) = (type, rows, columns);
        _rowBytes = checked((int)type.RowBytes(columns));
        _layout = MatrixLayouts.For(type);
        Product = ProductTable.For(type, KernelWidths.Chosen);
        GroupBytes = _layout.GroupBytes(columns);
        Groups = (int)(((long)rows + RowGroup.Rows - 1) / RowGroup.Rows);
        Bytes = checked(Groups * GroupBytes);
        _shared = shared;
        (_memory, _first) = shared?.Take(Bytes) ?? (new NativeBuffer<byte>(Bytes), 0);
    }

    /// <summary>The resident size of such a matrix, without making it.</summary>
    public static long BytesOf(TensorType type, long rows, int columns) =>
        checked((rows + RowGroup.Rows - 1) / RowGroup.Rows * MatrixLayouts.For(type).GroupBytes(columns));

    public TensorType Type { get; }

    /// <summary>R.</summary>
    public int Rows { get; }

    /// <summary>C.</summary>
    public int Columns { get; }

    /// <summary>Resident size.</summary>
    public long Bytes { get; }

    /// <summary>
    /// The matrices whose product with one input follows this one's, where that is known: threads that wait in between fetch their first rows of it.
    /// </summary>
    public IReadOnlyList<PackedMatrix> Next { get; set; } = [];

    internal IProduct Product { get; }

    internal int Groups { get; }

    internal long GroupBytes { get; }

    /// <exception cref="ObjectDisposedException">The memory has been freed.</exception>
    internal byte* Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(_isFreed, this);
            return _memory.Pointer + _first;
        }
    }

    /// <summary>
    /// Takes rows <paramref name="firstRow"/>.. as they are stored in a model file. Several threads may pack different rows at a time.
    /// </summary>
    /// <param name="firstRow">A multiple of <see cref="RowGroup.Rows"/>.</param>
    /// <param name="storedRows">Whole rows; a multiple of <see cref="RowGroup.Rows"/> of them, or all that are left.</param>
    /// <exception cref="ArgumentException">The rows are not such.</exception>
    /// <exception cref="InvalidDataException">A weight, or the scale of a block, is infinite or not a number.</exception>
    public void Pack(int firstRow, ReadOnlySpan<byte> storedRows)
    {
        var (rows, rest) = Math.DivRem(storedRows.Length, _rowBytes);
        if (rest != 0) throw new ArgumentException($"{storedRows.Length} bytes are not whole rows of {_rowBytes}", nameof(storedRows));
        if (firstRow < 0 || firstRow % RowGroup.Rows != 0 || rows > Rows - firstRow || (rows % RowGroup.Rows != 0 && firstRow + rows != Rows))
            throw new ArgumentOutOfRangeException(nameof(firstRow), $"rows {firstRow}..+{rows} are not whole groups of {RowGroup.Rows} within {Rows} rows");

        for (var row = 0; row < rows; row += RowGroup.Rows)
        {
            var stored = storedRows.Slice(row * _rowBytes, Math.Min(RowGroup.Rows, rows - row) * _rowBytes);
            _layout.Pack(stored, _rowBytes, Group(firstRow + row));
        }

        GC.KeepAlive(this);
    }

    /// <summary>The floats that a row stands for, exactly as <see cref="RowDecoder"/> gives them.</summary>
    /// <param name="destination">C elements.</param>
    public void DecodeRow(int row, Span<float> destination)
    {
        if ((uint)row >= (uint)Rows) throw new ArgumentOutOfRangeException(nameof(row), row, $"the matrix has {Rows} rows");
        if (destination.Length != Columns) throw new ArgumentException($"a row has {Columns} elements, not {destination.Length}", nameof(destination));
        _layout.Decode(Group(row), row % RowGroup.Rows, destination);
        GC.KeepAlive(this);
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isFreed, true)) return;
        if (_shared is null) _memory.Dispose();
        else _shared.Free(_first, Bytes);
    }

    byte* Group(int row) => Pointer + row / RowGroup.Rows * GroupBytes;
}
