using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Products;

/// <summary>
/// The product with float weights: every output is one chain of fused multiply-adds over the columns in ascending order, in whatever company
/// it is computed. One activation row takes four registers of weights at a time straight from memory; more rows meet, four at a time, a
/// strip of weights that was brought to floats once.
/// </summary>
sealed unsafe class FloatProduct<TFormat, TLanes, V> : IProduct, ILowRankProduct
    where TFormat : IFloatFormat
    where TLanes : ILanes<V>
    where V : struct
{
    /// <summary>Columns of two registers of weights that are kept as floats: at most 32 KiB.</summary>
    const int Strip = 256;

    /// <summary>
    /// How far ahead weights are asked for that more than one row meets. One row asks for pages alone: see <see cref="WeightsAhead{TFormat, TLanes, V}"/>.
    /// </summary>
    const int PrefetchBytes = 4096;

    /// <summary>Of weights of few columns, which are read without a break: what memory gives in some hundred nanoseconds.</summary>
    const int FarPrefetchBytes = 8192;

    static int ColumnsPerPage => PagesAhead.PageBytes / ColumnBytes;

    static int LaneBytes => TLanes.Count * sizeof(float);

    static int ColumnBytes => RowGroup.Rows * TFormat.Bytes;

    static int RegistersPerGroup => RowGroup.Rows / TLanes.Count;

    public int BlocksPerScale => 0;

    public void Run(in ProductTask task, int firstGroup, int endGroup)
    {
        var (first, end) = (firstGroup * RegistersPerGroup, endGroup * RegistersPerGroup);
        if (task.Batch == 1)
        {
            for (var register = first; register < end; register += 4) MultiplyRow(task, register, end - 1);
            return;
        }

        for (var firstRow = 0; firstRow < task.Batch; firstRow += ProductTask.TileRows)
            for (var register = first; register < end; register += 2)
                MultiplyTile(task, firstRow, Math.Min(ProductTask.TileRows, task.Batch - firstRow), register, end - 1);
    }

    /// <summary>
    /// Outputs of few rows and one activation row over at most <see cref="ILowRankProduct.Columns"/> columns: each is the sum, in ascending order, of four
    /// chains over 128 columns each. Chains of several pieces hide a multiply-add's latency where there are too few rows for that.
    /// </summary>
    public void RunFewRows(in ProductTask task)
    {
        var registers = (task.Rows + TLanes.Count - 1) / TLanes.Count;
        for (var register = 0; register < registers; register++)
        {
            var weights = Weights(task, register);
            V total;
            if (task.Columns == ILowRankProduct.Columns) total = MultiplyPieces(weights, task.Floats);
            else
            {
                total = MultiplyPiece(weights, task.Floats, 0, task.Columns);
                for (var piece = 1; piece < ILowRankProduct.Pieces; piece++)
                    total = TLanes.AddSingle(total, MultiplyPiece(weights, task.Floats, piece, task.Columns));
            }
            Store(task, 0, register, total);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static V MultiplyPieces(byte* weights, float* x)
    {
        const int Columns = ILowRankProduct.PieceColumns;
        var pieceBytes = (long)Columns * ColumnBytes;
        var ahead = ILowRankProduct.Pieces * pieceBytes;   // the same place in the next columns: what is nearer is being read
        V total0 = default, total1 = default, total2 = default, total3 = default;
        for (var c = 0; c < Columns; c++, weights += ColumnBytes)
        {
            total0 = AddColumn(total0, weights, TLanes.Spread(x + c), ahead);
            total1 = AddColumn(total1, weights + pieceBytes, TLanes.Spread(x + c + Columns), ahead);
            total2 = AddColumn(total2, weights + (2 * pieceBytes), TLanes.Spread(x + c + (2 * Columns)), ahead);
            total3 = AddColumn(total3, weights + (3 * pieceBytes), TLanes.Spread(x + c + (3 * Columns)), ahead);
        }
        return TLanes.AddSingle(TLanes.AddSingle(TLanes.AddSingle(total0, total1), total2), total3);
    }

    static V MultiplyPiece(byte* weights, float* x, int piece, int columns)
    {
        V total = default;
        var end = Math.Min(columns, (piece + 1) * ILowRankProduct.PieceColumns);
        for (var c = piece * ILowRankProduct.PieceColumns; c < end; c++)
            total = AddColumn(total, weights + ((long)c * ColumnBytes), TLanes.Spread(x + c), PrefetchBytes);
        return total;
    }

    /// <summary>Adds to the outputs of row groups the product of one activation row, each output's one chain over few columns.</summary>
    public void AddFewColumns(in ProductTask task, int firstGroup, int endGroup)
    {
        var (first, end) = (firstGroup * RegistersPerGroup, endGroup * RegistersPerGroup);
        for (var register = first; register < end; register += 4) AddRow(task, register, end - 1);
    }

    /// <summary>Up to four registers of rows, as <see cref="MultiplyRow"/>.</summary>
    [SkipLocalsInit]
    static void AddRow(in ProductTask task, int register, int last)
    {
        var (r1, r2, r3) = (Math.Min(register + 1, last), Math.Min(register + 2, last), Math.Min(register + 3, last));
        var totals = stackalloc byte[4 * LaneBytes];
        MultiplyFewColumns(Weights(task, register), Weights(task, r1), Weights(task, r2), Weights(task, r3), task.Floats, task.Columns, totals);
        var (column, count) = (register * TLanes.Count, (Math.Min(last, register + 3) - register + 1) * TLanes.Count);
        RowMath.Chosen.Add(task.Output + column, (float*)totals, Math.Min(count, task.Rows - column));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void MultiplyFewColumns(byte* w0, byte* w1, byte* w2, byte* w3, float* x, int columns, byte* totals)
    {
        V total0 = default, total1 = default, total2 = default, total3 = default;
        long offset = 0;
        for (var c = 0; c < columns; c++, offset += ColumnBytes)
        {
            var spread = TLanes.Spread(x + c);
            total0 = AddColumn(total0, w0 + offset, spread, FarPrefetchBytes);
            total1 = AddColumn(total1, w1 + offset, spread, FarPrefetchBytes);
            total2 = AddColumn(total2, w2 + offset, spread, FarPrefetchBytes);
            total3 = AddColumn(total3, w3 + offset, spread, FarPrefetchBytes);
        }
        StorePair(totals, total0, total1);
        StorePair(totals + (2 * LaneBytes), total2, total3);
    }

    /// <summary>Where a register's weights of column 0 are.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static byte* Weights(in ProductTask task, int register) =>
        task.Weights + register / RegistersPerGroup * task.GroupBytes + register % RegistersPerGroup * TLanes.Count * TFormat.Bytes;

    /// <summary>One activation row and up to four registers of rows; those after the last are the last again.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void MultiplyRow(in ProductTask task, int register, int last)
    {
        var (r1, r2, r3) = (Math.Min(register + 1, last), Math.Min(register + 2, last), Math.Min(register + 3, last));
        byte* w0 = Weights(task, register), w1 = Weights(task, r1), w2 = Weights(task, r2), w3 = Weights(task, r3);
        V total0 = default, total1 = default, total2 = default, total3 = default;
        long offset = 0;
        for (var c = 0; c < task.Columns; c++, offset += ColumnBytes)
        {
            if (c % ColumnsPerPage == 0)
            {
                PagesAhead.Fetch<TLanes, V>(w0 + offset);
                PagesAhead.Fetch<TLanes, V>(w1 + offset);
                PagesAhead.Fetch<TLanes, V>(w2 + offset);
                PagesAhead.Fetch<TLanes, V>(w3 + offset);
            }
            var x = TLanes.Spread(task.Floats + c);
            total0 = AddColumn(total0, w0 + offset, x);
            total1 = AddColumn(total1, w1 + offset, x);
            total2 = AddColumn(total2, w2 + offset, x);
            total3 = AddColumn(total3, w3 + offset, x);
        }

        Store(task, 0, register, total0);
        Store(task, 0, r1, total1);
        Store(task, 0, r2, total2);
        Store(task, 0, r3, total3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V AddColumn(V total, byte* weights, V x) => TLanes.FusedMultiplyAdd(TFormat.Load<TLanes, V>(weights), x, total);

    /// <param name="ahead">How far ahead other weights are asked for.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V AddColumn(V total, byte* weights, V x, long ahead)
    {
        TLanes.Prefetch(weights + ahead);
        return AddColumn(total, weights, x);
    }

    /// <summary>A tile of activation rows and two registers of rows, strip of columns by strip.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void MultiplyTile(in ProductTask task, int firstRow, int rows, int register, int last)
    {
        var second = Math.Min(register + 1, last);
        var memory = stackalloc byte[2 * (Strip + ProductTask.TileRows) * LaneBytes + 63];
        var strip = (byte*)(((nuint)memory + 63) & ~(nuint)63);
        var totals = strip + 2 * Strip * LaneBytes;
        new Span<byte>(totals, 2 * rows * LaneBytes).Clear();

        for (var column = 0; column < task.Columns; column += Strip)
        {
            var columns = Math.Min(Strip, task.Columns - column);
            Unpack(Weights(task, register) + (long)column * ColumnBytes, Weights(task, second) + (long)column * ColumnBytes, columns, strip);
            for (var row = 0; row < rows; row += 4)
                AddFourRows(task.Floats + (long)firstRow * task.Columns + column, task.Columns, row, rows - 1, strip, columns, totals);
        }

        for (var row = 0; row < rows; row++)
        {
            Store(task, firstRow + row, register, TLanes.Load(totals + 2 * row * LaneBytes));
            Store(task, firstRow + row, second, TLanes.Load(totals + (2 * row + 1) * LaneBytes));
        }
    }

    /// <summary>Two registers of weights to floats, side by side for each column.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Unpack(byte* w0, byte* w1, int columns, byte* strip)
    {
        for (var c = 0; c < columns; c++)
        {
            TLanes.Prefetch(w0 + PrefetchBytes);
            TLanes.Prefetch(w1 + PrefetchBytes);
            TLanes.Store(TFormat.Load<TLanes, V>(w0), strip);
            TLanes.Store(TFormat.Load<TLanes, V>(w1), strip + LaneBytes);
            w0 += ColumnBytes;
            w1 += ColumnBytes;
            strip += 2 * LaneBytes;
        }
    }

    /// <summary>
    /// Four activation rows x two registers of rows: eight chains, as many as hide a multiply-add's latency; rows after the last are the last again.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void AddFourRows(float* x, int rowLength, int row, int last, byte* strip, int columns, byte* totals)
    {
        var (r1, r2, r3) = (Math.Min(row + 1, last), Math.Min(row + 2, last), Math.Min(row + 3, last));
        float* x0 = x + (long)row * rowLength, x1 = x + (long)r1 * rowLength, x2 = x + (long)r2 * rowLength, x3 = x + (long)r3 * rowLength;
        byte* t0 = totals + 2 * row * LaneBytes, t1 = totals + 2 * r1 * LaneBytes, t2 = totals + 2 * r2 * LaneBytes, t3 = totals + 2 * r3 * LaneBytes;
        V a0 = TLanes.Load(t0), a1 = TLanes.Load(t1), a2 = TLanes.Load(t2), a3 = TLanes.Load(t3);
        V b0 = TLanes.Load(t0 + LaneBytes), b1 = TLanes.Load(t1 + LaneBytes), b2 = TLanes.Load(t2 + LaneBytes), b3 = TLanes.Load(t3 + LaneBytes);
        for (var c = 0; c < columns; c++, strip += 2 * LaneBytes)
        {
            V wa = TLanes.Load(strip), wb = TLanes.Load(strip + LaneBytes);
            V y0 = TLanes.Spread(x0 + c), y1 = TLanes.Spread(x1 + c), y2 = TLanes.Spread(x2 + c), y3 = TLanes.Spread(x3 + c);
            a0 = TLanes.FusedMultiplyAdd(wa, y0, a0);
            b0 = TLanes.FusedMultiplyAdd(wb, y0, b0);
            a1 = TLanes.FusedMultiplyAdd(wa, y1, a1);
            b1 = TLanes.FusedMultiplyAdd(wb, y1, b1);
            a2 = TLanes.FusedMultiplyAdd(wa, y2, a2);
            b2 = TLanes.FusedMultiplyAdd(wb, y2, b2);
            a3 = TLanes.FusedMultiplyAdd(wa, y3, a3);
            b3 = TLanes.FusedMultiplyAdd(wb, y3, b3);
        }

        StorePair(t0, a0, b0);
        StorePair(t1, a1, b1);
        StorePair(t2, a2, b2);
        StorePair(t3, a3, b3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void StorePair(byte* totals, V a, V b)
    {
        TLanes.Store(a, totals);
        TLanes.Store(b, totals + LaneBytes);
    }

    /// <summary>A register's outputs to their places in y, as far as the matrix has such rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Store(in ProductTask task, int batchRow, int register, V total)
    {
        var column = register * TLanes.Count;
        var count = Math.Min(TLanes.Count, task.Rows - column);
        if (count <= 0) return;
        var totals = stackalloc float[RowGroup.Rows];
        TLanes.Store(total, totals);
        new Span<float>(totals, count).CopyTo(new Span<float>(task.Output + (long)batchRow * task.Rows + column, count));
    }
}
