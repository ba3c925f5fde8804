using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static System.Runtime.CompilerServices.MethodImplOptions;

namespace LlamaCluster.Kernels.Formats;

/// <summary>Bit fields of stored blocks, 16 columns at a time.</summary>
static class StoredBits
{
    /// <summary>The bits of the half-precision number at <paramref name="offset"/>.</summary>
    [MethodImpl(AggressiveInlining)]
    public static ushort Half(ReadOnlySpan<byte> stored, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(stored[offset..]);

    /// <summary>Shifts each of 16 bytes to the right, and keeps the bits of <paramref name="mask"/>.</summary>
    [MethodImpl(AggressiveInlining)]
    public static Vector128<byte> Field(ReadOnlySpan<byte> bytes, int shift, byte mask) =>
        (Vector128.Create(bytes[..16]) >>> shift) & Vector128.Create(mask);

    /// <summary>16 bytes whose low nibbles are columns 0..15 and whose high nibbles are columns 16..31.</summary>
    [MethodImpl(AggressiveInlining)]
    public static (Vector128<byte> First, Vector128<byte> Second) Nibbles(ReadOnlySpan<byte> bytes) => (Field(bytes, 0, 15), Field(bytes, 4, 15));

    /// <summary><paramref name="value"/> in byte i where bit i of the lower 16 is set, else 0.</summary>
    [MethodImpl(AggressiveInlining)]
    public static Vector128<byte> Spread(uint bits, byte value)
    {
        const ulong EightTimes = 0x0101_0101_0101_0101;
        var bytes = Vector128.Create((bits & 0xff) * EightTimes, ((bits >> 8) & 0xff) * EightTimes).AsByte();
        var bit = Vector128.Create(0x8040_2010_0804_0201ul).AsByte();
        return Vector128.Equals(bytes & bit, bit) & Vector128.Create(value);
    }
}
