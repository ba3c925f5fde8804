using System.Buffers;
using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats;

/// <summary>
/// A model's config and tensors, wherever they are stored: a GGUF file, a Hugging Face folder, a worker's cache, random numbers.
/// Opening reads headers only; tensor data is read row by row when asked for. Safe for concurrent reads.
/// </summary>
public interface IModelWeights : IDisposable
{
    /// <summary>The name stored in the files, for people; <see cref="ModelFiles.IdOf"/> gives the API's.</summary>
    string Name { get; }

    LlamaConfig Config { get; }

    /// <summary>In stored order; names as <see cref="TensorInfo"/> says.</summary>
    IReadOnlyList<TensorInfo> Tensors { get; }

    TensorInfo? Find(string name);

    /// <summary>The file that holds a tensor's bytes. Null if they are in no file, as those of random weights.</summary>
    string? FileOf(TensorInfo tensor) => null;

    /// <summary>
    /// Where a tensor stands in a file just as <see cref="ReadRows"/> gives it, row after row. Null if it stands nowhere so, because its numbers or its rows
    /// are put together while they are read.
    /// </summary>
    TensorPlace? PlaceOf(TensorInfo tensor) => null;

    /// <summary>The <see cref="PartHash"/> of a part that was hashed when it came here. Null: who wants to know has to hash what is read.</summary>
    string? KnownHash(TensorPart part) => null;

    /// <summary>How files hold a tensor that is made of other numbers while it is read, for people. Null: as what it is.</summary>
    string? StoredAs(TensorInfo tensor) => null;

    /// <summary>
    /// All layers of the same shapes have the same numbers, so that one copy of each kind in memory serves for all of a shard's. Only made-up models are
    /// such.
    /// </summary>
    bool LayersAreAlike => false;

    /// <summary>
    /// Copies rows <paramref name="firstRow"/>.. of a tensor, in its stored type, into <paramref name="destination"/> (whole rows).
    /// Rows of attn_q and attn_k, and the numbers of their biases, come in GGUF's order, in which the two numbers that RoPE rotates together stand side by
    /// side, whatever order the file has.
    /// </summary>
    /// <exception cref="ModelFormatException">The data cannot be read.</exception>
    void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination);

    /// <summary>
    /// As <see cref="ReadRows"/>, of some columns only, row after row. This reads whole rows and takes the columns out of them; weights that can read less do.
    /// </summary>
    /// <exception cref="ModelFormatException">The data cannot be read.</exception>
    void ReadPart(TensorPart part, Span<byte> destination)
    {
        part.Check(destination.Length);
        if (part.HasWholeRows)
        {
            ReadRows(part.Tensor, part.FirstRow, destination);
            return;
        }
        var row = ArrayPool<byte>.Shared.Rent((int)part.Tensor.RowBytes);
        var (before, bytes) = ((int)part.BytesBefore, (int)part.RowBytes);
        for (var r = part.FirstRow; !destination.IsEmpty; r++, destination = destination[bytes..])
        {
            ReadRows(part.Tensor, r, row.AsSpan(0, (int)part.Tensor.RowBytes));
            row.AsSpan(before, bytes).CopyTo(destination);
        }
        ArrayPool<byte>.Shared.Return(row);
    }

    /// <summary>
    /// As <see cref="ReadPart"/>, in another type than the tensor's, if what the files hold has a form in it that loses nothing but the digits of scales
    /// which F16 does not have.
    /// </summary>
    /// <param name="destination">The part's rows in the other type.</param>
    /// <returns>False: there is no such form, and nothing was read.</returns>
    /// <exception cref="ModelFormatException">The data cannot be read.</exception>
    bool TryReadAs(TensorType type, TensorPart part, Span<byte> destination) => false;

    /// <summary>
    /// Identifies the content: lower-case hex SHA-256 over config, tensor table and a fixed sample of every tensor's bytes
    /// (all of a small tensor's). Two files with the same digest are the same model for the cluster.
    /// </summary>
    string ComputeDigest(CancellationToken cancellation = default);
}

/// <summary>
/// What is known of a stored tensor before its data is read. Names are GGUF's, also for Hugging Face folders:
/// <c>token_embd.weight</c>, <c>blk.N.attn_norm|attn_q|attn_k|attn_v|attn_output|ffn_norm|ffn_gate|ffn_up|ffn_down.weight</c>, of experts those that
/// <see cref="ExpertTensors"/> says, <c>blk.N.attn_q|attn_k|attn_v|attn_output.bias</c>, <c>output_norm.weight</c>, <c>output.weight</c> (absent if tied),
/// <c>rope_freqs.weight</c>.
/// </summary>
/// <param name="Rows">Output dimension of a matrix; 1 for a vector.</param>
/// <param name="Columns">Input dimension, contiguous in storage; a vector's length.</param>
public sealed record TensorInfo(string Name, TensorType Type, long Rows, long Columns)
{
    /// <summary>Consecutive columns of a row that are stored together.</summary>
    public int ColumnBlock => Type.BlockSize();

    public long RowBytes => Type.RowBytes(Columns);

    public long Bytes => checked(Rows * RowBytes);

    /// <summary>Throws unless <paramref name="bytes"/> are whole rows of this tensor from <paramref name="firstRow"/> on.</summary>
    /// <exception cref="ArgumentException">A mistake of the caller.</exception>
    public void CheckRows(long firstRow, int bytes)
    {
        var (rows, rest) = Math.DivRem(bytes, RowBytes);
        if (rest != 0) throw new ArgumentException($"{bytes} bytes are not whole rows of {RowBytes} of {Name}", nameof(bytes));
        if (firstRow < 0 || firstRow > Rows - rows)
            throw new ArgumentOutOfRangeException(nameof(firstRow), firstRow, $"{Name} has {Rows} rows; {rows} were asked for");
    }
}

/// <summary>A place in a file.</summary>
/// <param name="File">Its path.</param>
/// <param name="Offset">Bytes from its start.</param>
public readonly record struct TensorPlace(string File, long Offset);

/// <summary>A tensor's name and shape, [Rows, Columns]; a vector has one row.</summary>
public sealed record TensorShape(string Name, long Rows, long Columns);

/// <summary>A tensor and where its data stands; all of it is known to be inside the file.</summary>
/// <param name="Offset">Bytes from the start of the file.</param>
/// <param name="ColumnStride">Bytes from a column to the next where the tensor is stored column by column; 0: it is stored row by row.</param>
sealed record StoredTensor(TensorInfo Info, ModelFile File, long Offset, long ColumnStride = 0)
{
    /// <summary>What the file holds where the tensor, of F32, is made of numbers of few bits and scales. Null: the tensor itself.</summary>
    public ScaledMatrix? Scaled { get; init; }
}

/// <summary>Consecutive rows of a tensor, and of these consecutive columns: what is read, fetched and cached as one piece.</summary>
/// <param name="FirstColumn">The start of a block of the tensor's type.</param>
/// <param name="ColumnCount">Whole blocks.</param>
public sealed record TensorPart(TensorInfo Tensor, long FirstRow, long RowCount, long FirstColumn, long ColumnCount)
{
    /// <summary>About what is read at a time: enough for a disk, and little beside a matrix.</summary>
    const int PieceBytes = 1 << 20;

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

    /// <summary>Rows of a piece: whole row groups of about a mebibyte together. A part's last piece may have fewer.</summary>
    public int PieceRows => (int)Math.Max(1, PieceBytes / RowBytes / RowGroup.Rows) * RowGroup.Rows;

    /// <summary>How many pieces the part is read and hashed in.</summary>
    public int PieceCount => (int)((RowCount + PieceRows - 1) / PieceRows);

    /// <summary>One of the part's pieces, counted from 0.</summary>
    public TensorPart PieceAt(int index) => Piece((long)index * PieceRows, Math.Min(PieceRows, RowCount - (long)index * PieceRows));

    /// <summary>Some rows of the part.</summary>
    /// <param name="first">Counted from the part's first.</param>
    public TensorPart Piece(long first, long count) => this with { FirstRow = FirstRow + first, RowCount = count };

    /// <summary>A part that another process asks for by its numbers.</summary>
    /// <param name="columnCount">0: all columns.</param>
    /// <returns>Also why the tensor has no such part, in one line; null if it has.</returns>
    public static (TensorPart Part, string? Problem) Asked(TensorInfo tensor, ulong firstRow, ulong rowCount, ulong firstColumn, ulong columnCount)
    {
        var part = Rows(tensor, Index(firstRow), Index(rowCount));
        if (columnCount > 0) part = part with { FirstColumn = Index(firstColumn), ColumnCount = Index(columnCount) };
        return (part, part.RowCount == 0 ? $"no rows of {tensor.Name} are asked for" : part.FirstProblem());

        // A number above long.MaxValue is out of range for every tensor, as long.MaxValue is.
        static long Index(ulong asked) => (long)Math.Min(asked, long.MaxValue);
    }

    /// <summary>Why the tensor has no such part, in one line; null if it has.</summary>
    public string? FirstProblem()
    {
        var block = Tensor.Type.BlockSize();
        if (FirstRow < 0 || RowCount < 0 || RowCount > Tensor.Rows - FirstRow)
            return $"{RowCount} rows from {FirstRow} of {Tensor.Name} are not in its {Tensor.Rows} rows";
        if (FirstColumn < 0 || ColumnCount < 1 || ColumnCount > Tensor.Columns - FirstColumn)
            return $"{ColumnCount} columns from {FirstColumn} of {Tensor.Name} are not in its {Tensor.Columns} columns";
        return FirstColumn % block == 0 && ColumnCount % block == 0
            ? null
            : $"{ColumnCount} columns from {FirstColumn} of {Tensor.Name} are not whole {Tensor.Type} blocks of {block}";
    }

    /// <summary>Whether all of another part of the same tensor is in this one.</summary>
    public bool Contains(TensorPart other) =>
        Tensor == other.Tensor
        && other.FirstRow >= FirstRow && other.FirstRow + other.RowCount <= FirstRow + RowCount
        && other.FirstColumn >= FirstColumn && other.FirstColumn + other.ColumnCount <= FirstColumn + ColumnCount;

    /// <summary>Throws unless the tensor has this part and <paramref name="bytes"/> are its size.</summary>
    /// <exception cref="ArgumentException">A mistake of the caller.</exception>
    public void Check(int bytes)
    {
        if (FirstProblem() is { } problem) throw new ArgumentException(problem);
        if (bytes != Bytes) throw new ArgumentException($"{Bytes} bytes of {Tensor.Name} do not fit in {bytes} exactly", nameof(bytes));
    }
}
