using System.Buffers;
using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats;

/// <summary>Where numbers begin in a file.</summary>
readonly record struct StoredPlace(ModelFile File, long Offset);

/// <summary>Scales [ceil(R / <paramref name="RowCount"/>), ceil(C / <paramref name="ColumnCount"/>)] of a matrix [R, C], row after row.</summary>
/// <param name="Type">F32, F16 or BF16.</param>
/// <param name="RowCount">Rows that share a scale.</param>
/// <param name="ColumnCount">Columns that share a scale.</param>
sealed record StoredScales(StoredPlace Place, TensorType Type, long RowCount, long ColumnCount);

/// <summary>
/// A matrix [R, C] that a file holds as numbers q of few bits and scales s, some with zero points z: weight = (q - z) s, as F32. All but products with
/// scales of F32, which are rounded once, are exact. Rows and columns may be read from any on.
/// </summary>
/// <param name="values">[R, C]; a row of numbers with an offset is filled up to a whole word of 32 bits.</param>
/// <param name="columns">C</param>
sealed class ScaledMatrix(ScaledNumber number, StoredPlace values, long columns, StoredScales scales)
{
    const int WordBits = 32;

    /// <summary>
    /// Zero points as large as the numbers, one for each scale: words [ceil(R / n), scales of a row], of which each has those of n rows, the first in its
    /// lowest bits. Only where each row has scales of its own, and numbers are stored with an offset.
    /// </summary>
    public StoredPlace? ZeroPoints { get; init; }

    /// <summary>
    /// Which of a row's scales is each column's: C integers of 32 bits, of which each comes as often as any other. Null: consecutive columns share a scale.
    /// </summary>
    public StoredPlace? ColumnScales { get; init; }

    /// <summary>For people: what of numbers, and how many share a scale.</summary>
    public string Description { get; init; } = "";

    int Bits => number is ScaledNumber.Offset4 ? 4 : 8;

    /// <summary>Of numbers. What is packed, of 4 or of 8 bits, is so in words of 32 bits.</summary>
    long RowBytes => number is ScaledNumber.Offset4 or ScaledNumber.Offset8 ? (columns * Bits + WordBits - 1) / WordBits * sizeof(uint) : columns;

    long ScalesPerRow => (columns + scales.ColumnCount - 1) / scales.ColumnCount;

    /// <summary>
    /// Whether the numbers can stand in blocks of this type as they are: those of 4 bits without zero points in Q4_0's, where each block's columns share a
    /// scale.
    /// </summary>
    public bool HasForm(TensorType type) =>
        type == TensorType.Q4_0 && number == ScaledNumber.Offset4 && ZeroPoints is null && ColumnScales is null && scales.ColumnCount % type.BlockSize() == 0;

    /// <summary>The weights of a row as blocks of Q4_0, whose scales are these as F16.</summary>
    /// <param name="firstColumn">Of a block.</param>
    /// <param name="blocks">Whole blocks: a scale, then 16 bytes, byte i with number i in its low and number i + 16 in its high half.</param>
    /// <exception cref="ModelFormatException">The data cannot be read, or a scale is none that F16 has.</exception>
    public void ReadQ4_0(long row, long firstColumn, Span<byte> blocks)
    {
        var (size, bytes) = (TensorType.Q4_0.BlockSize(), TensorType.Q4_0.BlockBytes());
        var (columnCount, firstScale) = (blocks.Length / bytes * size, firstColumn / scales.ColumnCount);
        var scaleCount = ScalesOf(firstColumn, columnCount);
        var rented = ArrayPool<byte>.Shared.Rent(columnCount / 2);
        var rentedScales = ArrayPool<float>.Shared.Rent(scaleCount);
        var stored = rented.AsSpan(0, columnCount / 2);
        values.File.Read(values.Offset + row * RowBytes + firstColumn / 2, stored);
        ReadScales(row, firstScale, rentedScales.AsSpan(0, scaleCount));
        for (; !blocks.IsEmpty; blocks = blocks[bytes..], stored = stored[(size / 2)..], firstColumn += size)
        {
            var scale = rentedScales[firstColumn / scales.ColumnCount - firstScale];
            if (!Half.IsFinite((Half)scale)) throw scales.Place.File.Error($"a weight_scale is {scale}, which cannot be stored as F16");
            BinaryPrimitives.WriteHalfLittleEndian(blocks, (Half)scale);
            var low = stored[..(size / 4)];
            var high = stored[(size / 4)..(size / 2)];
            for (var i = 0; i < low.Length; i++)
            {
                blocks[2 + (2 * i)] = (byte)((low[i] & 15) | (high[i] << 4));
                blocks[3 + (2 * i)] = (byte)((low[i] >> 4) | (high[i] & 0xf0));
            }
        }
        ArrayPool<float>.Shared.Return(rentedScales);
        ArrayPool<byte>.Shared.Return(rented);
    }

    /// <summary>The weights of a row from a column on.</summary>
    /// <exception cref="ModelFormatException">The data cannot be read.</exception>
    public void ReadRow(long row, long firstColumn, Span<float> weights)
    {
        ReadNumbers(row, firstColumn, weights);
        if (ColumnScales is { } order) ScaleInOrder(row, firstColumn, weights, order);
        else Scale(row, firstColumn, weights);
    }

    void ReadNumbers(long row, long firstColumn, Span<float> numbers)
    {
        var firstByte = firstColumn * Bits / 8;
        var count = (int)(((firstColumn + numbers.Length) * Bits + 7) / 8 - firstByte);
        var rented = ArrayPool<byte>.Shared.Rent(count);
        var stored = rented.AsSpan(0, count);
        values.File.Read(values.Offset + row * RowBytes + firstByte, stored);
        ScaledNumbers.Decode(number, stored, firstColumn % 2 != 0, numbers);
        ArrayPool<byte>.Shared.Return(rented);
    }

    void Scale(long row, long firstColumn, Span<float> weights)
    {
        var first = firstColumn / scales.ColumnCount;
        var count = ScalesOf(firstColumn, weights.Length);
        var rented = ArrayPool<float>.Shared.Rent(2 * count);
        var scale = rented.AsSpan(0, count);
        var zero = rented.AsSpan(count, count);
        ReadScales(row, first, scale);
        ReadZeroPoints(row, first, zero);
        var column = firstColumn;
        for (var i = 0; i < count; i++)
        {
            var run = weights[..(int)Math.Min(weights.Length, (first + i + 1) * scales.ColumnCount - column)];
            if (ZeroPoints is not null) TensorPrimitives.Subtract(run, zero[i], run);
            TensorPrimitives.Multiply(run, scale[i], run);
            weights = weights[run.Length..];
            column += run.Length;
        }
        ArrayPool<float>.Shared.Return(rented);
    }

    void ScaleInOrder(long row, long firstColumn, Span<float> weights, StoredPlace order)
    {
        var count = (int)ScalesPerRow;
        var rented = ArrayPool<float>.Shared.Rent(2 * count);
        var indexes = ArrayPool<int>.Shared.Rent((int)columns);
        var scale = rented.AsSpan(0, count);
        var zero = rented.AsSpan(count, count);
        var indexOf = indexes.AsSpan(0, (int)columns);
        ReadScales(row, 0, scale);
        ReadZeroPoints(row, 0, zero);
        order.File.Read(order.Offset, MemoryMarshal.AsBytes(indexOf));
        RefuseUneven(indexOf, count, order.File);
        for (var i = 0; i < weights.Length; i++)
        {
            var index = indexOf[(int)firstColumn + i];
            weights[i] = (weights[i] - zero[index]) * scale[index];
        }
        ArrayPool<int>.Shared.Return(indexes);
        ArrayPool<float>.Shared.Return(rented);
    }

    /// <summary>How many scales consecutive columns have.</summary>
    int ScalesOf(long firstColumn, int count) => (int)((firstColumn + count - 1) / scales.ColumnCount - firstColumn / scales.ColumnCount) + 1;

    /// <summary>Columns that are counted by another rule than here would get the scales of others.</summary>
    void RefuseUneven(ReadOnlySpan<int> indexOf, int count, ModelFile file)
    {
        var counts = ArrayPool<int>.Shared.Rent(count);
        var seen = counts.AsSpan(0, count);
        seen.Clear();
        foreach (var index in indexOf)
            if ((uint)index >= (uint)count || ++seen[index] > scales.ColumnCount)
                throw file.Error($"a weight_g_idx does not name each of {count} groups for {scales.ColumnCount} columns, and is not supported");
        ArrayPool<int>.Shared.Return(counts);
    }

    void ReadScales(long row, long first, Span<float> destination)
    {
        var size = scales.Type.BlockBytes();
        Span<byte> few = stackalloc byte[256];
        var rented = destination.Length * size > few.Length ? ArrayPool<byte>.Shared.Rent(destination.Length * size) : null;
        var stored = (rented ?? few)[..(destination.Length * size)];
        scales.Place.File.Read(scales.Place.Offset + (row / scales.RowCount * ScalesPerRow + first) * size, stored);
        RowDecoder.Decode(scales.Type, stored, destination);
        if (rented is not null) ArrayPool<byte>.Shared.Return(rented);
    }

    /// <summary>0 where there are none.</summary>
    void ReadZeroPoints(long row, long first, Span<float> destination)
    {
        if (ZeroPoints is not { } place)
        {
            destination.Clear();
            return;
        }
        var perWord = WordBits / Bits;
        var rented = ArrayPool<byte>.Shared.Rent(destination.Length * sizeof(uint));
        var words = rented.AsSpan(0, destination.Length * sizeof(uint));
        place.File.Read(place.Offset + (row / perWord * ScalesPerRow + first) * sizeof(uint), words);
        var shift = (int)(row % perWord) * Bits;
        var (mask, offset) = ((1u << Bits) - 1, 1 << (Bits - 1));
        for (var i = 0; i < destination.Length; i++)
            destination[i] = (int)((BinaryPrimitives.ReadUInt32LittleEndian(words[(i * sizeof(uint))..]) >> shift) & mask) - offset;
        ArrayPool<byte>.Shared.Return(rented);
    }
}
