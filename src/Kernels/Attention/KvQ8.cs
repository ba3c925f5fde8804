using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// <see cref="KvType.Q8_0"/>: round(x / scale), where scale is max |x| / 127 rounded up to bfloat16, so that no byte exceeds 127.
/// A number is off by at most half its scale: 1/252 of the greatest in its group.
/// </summary>
readonly unsafe struct KvQ8 : IKvFormat
{
    /// <summary>2^-126: a smaller step would have an infinite inverse; such numbers are stored as zero.</summary>
    const float SmallestStep = 1.17549435e-38f;

    public static bool Scaled => true;

    public static int Bytes => 1;

    public static float Unit => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load<TLanes>(byte* pair, out TLanes first, out TLanes second)
        where TLanes : unmanaged, IFloatLanes<TLanes>
    {
        first = TLanes.LoadSByte((sbyte*)pair);
        second = TLanes.LoadSByte((sbyte*)pair + KvBlock.Positions);
    }

    public static float Scale(float* source, int count, ushort* scale)
    {
        var greatest = 0f;
        for (var i = 0; i < count; i++) greatest = MathF.Max(greatest, MathF.Abs(source[i]));
        *scale = RoundUp(greatest / 127);
        var step = BitConverter.Int32BitsToSingle(*scale << 16);
        return step >= SmallestStep ? 1 / step : 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float number, byte* numbers, int vector, int lane) => ((sbyte*)numbers)[(vector * KvBlock.Positions) + lane] = (sbyte)MathF.Round(number);

    static ushort RoundUp(float value) => (ushort)((BitConverter.SingleToUInt32Bits(value) + 0xFFFF) >> 16);
}
