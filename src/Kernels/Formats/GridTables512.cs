using System.Runtime.InteropServices;
using LlamaCluster.Kernels.MachineCode;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Formats;

/// <summary>
/// The tables of <see cref="GridLanes512"/> that the machine code of a type takes (<see cref="RowDots"/>), in one piece: a book of 512 entries, then these.
/// </summary>
static unsafe class GridTables512
{
    /// <summary>Where a table begins, in bytes.</summary>
    public const int Codes = 1024, LevelShifts = Codes + 64, SignShifts = LevelShifts + 4 * 64, EvenSigns = SignShifts + 8 * 64;

    const int Bytes = EvenSigns + 128;

    /// <summary>They live as long as the process. Null for types that have no book.</summary>
    public static byte* Of(TensorType type) => type switch
    {
        TensorType.IQ2_XS => Joined(
            GridLanes512.Iq2XsBook, GridLanes512.Iq2XsCodes + 2 * 64, GridLanes512.TwoBitShifts, 4 * 64, GridLanes512.SignsAboveTwoBits,
            GridLanes512.EvenSigns),
        TensorType.IQ3_S => Joined(
            GridLanes512.Iq3SBook, GridLanes512.Iq3SCodes, GridLanes512.ThreeBitShifts, 2 * 64, GridLanes512.SignsAboveThreeBits, GridLanes512.EvenSigns),
        _ => null,
    };

    static byte* Joined(ushort* book, byte* codes, byte* levelShifts, int levelShiftBytes, byte* signShifts, byte* evenSigns)
    {
        var tables = (byte*)NativeMemory.AlignedAlloc(Bytes, 64);
        Put(0, (byte*)book, Codes);
        Put(Codes, codes, 64);
        Put(LevelShifts, levelShifts, levelShiftBytes);
        Put(SignShifts, signShifts, 8 * 64);
        Put(EvenSigns, evenSigns, 128);
        return tables;

        void Put(int place, byte* table, int bytes) => new ReadOnlySpan<byte>(table, bytes).CopyTo(new Span<byte>(tables + place, bytes));
    }
}
