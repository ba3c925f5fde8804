using System.Runtime.InteropServices;
using LlamaCluster.Kernels.MachineCode;
using LlamaCluster.Primitives;
using static LlamaCluster.Kernels.Formats.GridLanes512;

namespace LlamaCluster.Kernels.Formats;

/// <summary>The tables of <see cref="GridLanes512"/> that the machine code of a type takes (<see cref="RowDots"/>), in one piece.</summary>
static unsafe class GridTables512
{
    /// <summary>Where a table begins, in bytes; the factor is one of d, as a float.</summary>
    public const int Codes = 0, LevelShifts = 64, SignShifts = LevelShifts + 4 * 64, EvenSigns = SignShifts + 8 * 64, SevenBitShifts = EvenSigns + 2 * 64;
    public const int Factor = SevenBitShifts + 64, Book = Factor + 64;

    /// <summary>They live as long as the process. Null for types that have no book of such a form.</summary>
    public static byte* Of(TensorType type) => type switch
    {
        TensorType.IQ2_XXS => OfTwoBits(Iq2XxsBook, 256, Iq2XxsCodes),
        TensorType.IQ2_XS => OfTwoBits(Iq2XsBook, 512, Iq2XsCodes),
        TensorType.IQ2_S => OfTwoBits(Iq2SBook, 1024, Iq2XsCodes),
        TensorType.IQ3_XXS => OfThreeBits(Iq3XxsBook, 256, Iq3XxsCodes + WholeCodes, 0.25f),
        TensorType.IQ3_S => OfThreeBits(Iq3SBook, 512, Iq3SCodes, 1),
        _ => null,
    };

    static byte* OfTwoBits(ushort* book, int entries, byte* codes)
        => Joined(book, entries, codes + WholeCodes, TwoBitShifts, 4 * 64, SignsAboveTwoBits, 0.125f);

    static byte* OfThreeBits(ushort* book, int entries, byte* codes, float factor)
        => Joined(book, entries, codes, ThreeBitShifts, 2 * 64, SignsAboveThreeBits, factor);

    static byte* Joined(ushort* book, int entries, byte* codes, byte* levelShifts, int levelShiftBytes, byte* signShifts, float factor)
    {
        var tables = (byte*)NativeMemory.AlignedAlloc((nuint)(Book + entries * sizeof(ushort)), 64);
        Put(Codes, codes, 64);
        Put(LevelShifts, levelShifts, levelShiftBytes);
        Put(SignShifts, signShifts, 8 * 64);
        Put(EvenSigns, GridLanes512.EvenSigns, 2 * 64);
        Put(SevenBitShifts, GridLanes512.SevenBitShifts, 64);
        *(float*)(tables + Factor) = factor;
        Put(Book, (byte*)book, entries * sizeof(ushort));
        return tables;

        void Put(int place, byte* table, int bytes) => new ReadOnlySpan<byte>(table, bytes).CopyTo(new Span<byte>(tables + place, bytes));
    }
}
