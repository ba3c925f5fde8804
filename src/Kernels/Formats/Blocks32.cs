using System.Buffers.Binary;

namespace LlamaCluster.Kernels.Formats;

/// <summary>
/// The types of 32 elements a block. A byte of <c>qs</c> holds element i in its low and element i + 16 in its high nibble;
/// bit i of <c>qh</c> is the fifth bit of element i.
/// </summary>
static class Blocks32
{
    /// <summary>{ half d; u8 qs[16] }: d (q - 8).</summary>
    public static void DecodeQ4_0(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        for (var i = 0; i < 32; i++) destination[i] = d * (Nibble(stored[2..], i) - 8);
    }

    /// <summary>{ half d; half m; u8 qs[16] }: d q + m.</summary>
    public static void DecodeQ4_1(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        var m = FloatBlocks.Half(stored, 2);
        for (var i = 0; i < 32; i++) destination[i] = d * Nibble(stored[4..], i) + m;
    }

    /// <summary>{ half d; u32 qh; u8 qs[16] }: d (q - 16).</summary>
    public static void DecodeQ5_0(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        var high = BinaryPrimitives.ReadUInt32LittleEndian(stored[2..]);
        for (var i = 0; i < 32; i++) destination[i] = d * (FiveBits(stored[6..], high, i) - 16);
    }

    /// <summary>{ half d; half m; u32 qh; u8 qs[16] }: d q + m.</summary>
    public static void DecodeQ5_1(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        var m = FloatBlocks.Half(stored, 2);
        var high = BinaryPrimitives.ReadUInt32LittleEndian(stored[4..]);
        for (var i = 0; i < 32; i++) destination[i] = d * FiveBits(stored[8..], high, i) + m;
    }

    /// <summary>{ half d; i8 qs[32] }: d q.</summary>
    public static void DecodeQ8_0(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var d = FloatBlocks.Half(stored, 0);
        for (var i = 0; i < 32; i++) destination[i] = d * (sbyte)stored[2 + i];
    }

    static int Nibble(ReadOnlySpan<byte> qs, int i) => i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;

    static int FiveBits(ReadOnlySpan<byte> qs, uint high, int i) => Nibble(qs, i) | (int)((high >> i) & 1) << 4;
}
