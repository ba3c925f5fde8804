namespace LlamaCluster.Kernels.Elementwise;

/// <summary>Half numbers without subnormals, infinities and NaN, so that a few integer operations and a product turn them into floats.</summary>
static class HalfBits
{
    /// <summary>2^112: moves an exponent that was shifted into place from half's bias of 15 to float's of 127.</summary>
    public const float Rebias = 5.192296858534828e33f;

    const float SmallestNormal = 6.103515625e-5f;
    const float Largest = 65504;

    /// <summary>Rounds to the nearest half; too small becomes zero, too large the largest. The number must be finite.</summary>
    public static ushort FromSingle(float value) =>
        MathF.Abs(value) < SmallestNormal ? (ushort)0 : BitConverter.HalfToUInt16Bits((Half)Math.Clamp(value, -Largest, Largest));

    public static float ToSingle(ushort bits) => BitConverter.Int32BitsToSingle(((short)bits << 13) & unchecked((int)0x8FFFE000)) * Rebias;
}
