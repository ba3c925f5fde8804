using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LlamaCluster.Kernels.Formats;

/// <summary>
/// The code books in the form that kernels look up: a column's code a byte, in memory that never moves and lives as long as the process. Where signs are
/// stored apart, a book holds offset + magnitude, and <see cref="Signed"/> makes offset - magnitude of it where the sign is set.
/// </summary>
static unsafe class GridTables
{
    /// <summary>128 + magnitude, 8 columns an entry.</summary>
    public static readonly ulong* Iq2Xxs = Eights(CodeGrid.Iq2Xxs, 128, 1);

    /// <summary>64 + magnitude, 8 columns an entry.</summary>
    public static readonly ulong* Iq2Xs = Eights(CodeGrid.Iq2Xs, 64, 1);

    /// <summary>64 + magnitude, 8 columns an entry.</summary>
    public static readonly ulong* Iq2S = Eights(CodeGrid.Iq2S, 64, 1);

    /// <summary>128 + magnitude, 4 columns an entry.</summary>
    public static readonly uint* Iq3Xxs = Fours(CodeGrid.Iq3Xxs, (entry, column) => 128 + CodeGrid.Iq3Xxs.Value(entry, column));

    /// <summary>8 + (magnitude - 1) / 2: the 4-bit code c of the weight 2 c - 15.</summary>
    public static readonly uint* Iq3S = Fours(CodeGrid.Iq3S, (entry, column) => 8 + CodeGrid.Iq3S.Level(entry, column));

    /// <summary>8 (value + 1), 8 columns an entry.</summary>
    public static readonly ulong* Iq1 = Eights(CodeGrid.Iq1, 8, 8);

    /// <summary>0xff in byte j where bit j of the index is set.</summary>
    public static readonly ulong* BitMasks = Masks(256, bits => bits);

    /// <summary>The same for 7 stored signs, of which the eighth makes the number of set ones even.</summary>
    public static readonly ulong* EvenMasks = Masks(128, bits => bits | (BitOperations.PopCount((uint)bits) & 1) << 7);

    const ulong EachByte = 0x0101_0101_0101_0101;
    const nuint Alignment = 64;

    /// <summary>
    /// Codes offset + g to offset - g where the mask has a byte: what is left of 2 offset - 1 by exclusive or, and one more. No byte carries into the next.
    /// </summary>
    /// <param name="mask">All bits below 2 x offset in the bytes that are negative.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Signed(ulong codes, ulong mask) => (codes ^ mask) + (mask & EachByte);

    public static ulong* Eights(CodeGrid grid, int offset, int factor) =>
        Table(grid.Count, entry => Bytes(8, column => offset + factor * grid.Value(entry, column)));

    public static uint* Fours(CodeGrid grid, Func<int, int, int> code)
    {
        var table = (uint*)NativeMemory.AlignedAlloc((nuint)grid.Count * sizeof(uint), Alignment);
        for (var i = 0; i < grid.Count; i++)
        {
            var entry = i;
            table[i] = (uint)Bytes(4, column => code(entry, column));
        }
        return table;
    }

    static ulong* Masks(int count, Func<int, int> signs) => Table(count, index => Bytes(8, column => (signs(index) >> column & 1) * 0xff));

    static ulong* Table(int count, Func<int, ulong> entry)
    {
        var table = (ulong*)NativeMemory.AlignedAlloc((nuint)count * sizeof(ulong), Alignment);
        for (var i = 0; i < count; i++) table[i] = entry(i);
        return table;
    }

    static ulong Bytes(int count, Func<int, int> value)
    {
        var bytes = 0ul;
        for (var column = 0; column < count; column++) bytes |= (ulong)(byte)value(column) << (8 * column);
        return bytes;
    }
}
