using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Elementwise;

/// <summary>
/// Half numbers without subnormals, infinities and NaN, so that two integer operations turn them into floats which are <see cref="Unit"/> times too
/// small: whoever sums up products with them puts that right once, in the other factor or in the sum.
/// </summary>
static class HalfBits
{
    /// <summary>2^112: from half's exponent bias of 15 to float's of 127.</summary>
    public const float Unit = 5.192296858534828e33f;

    /// <summary>The bits that are left of a half that stands in the upper 16 bits of a number and was shifted right by three, with its sign.</summary>
    public const int Mask = unchecked((int)0x8FFFE000);

    const uint SmallestNormal = 0x3880_0000;
    const uint Largest = 0x477F_E000;
    const uint ExponentDifference = 112 << 23;

    /// <summary>Rounds to the nearest half, ties to even; too small becomes zero, too large the largest. The number must be finite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort FromSingle(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        var magnitude = Math.Min(bits & int.MaxValue, Largest);
        if (magnitude < SmallestNormal) return 0;
        var rounded = magnitude + 0xFFF + ((magnitude >> 13) & 1);
        return (ushort)(((bits >> 16) & 0x8000) | ((rounded - ExponentDifference) >> 13));
    }

    /// <summary>The number / <see cref="Unit"/>.</summary>
    public static float ToSmallSingle(ushort bits) => BitConverter.Int32BitsToSingle(((short)bits << 13) & Mask);

    public static float ToSingle(ushort bits) => ToSmallSingle(bits) * Unit;
}
