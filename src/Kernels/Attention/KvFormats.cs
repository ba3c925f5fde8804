using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Attention;

/// <summary>How keys and values are stored in the KV cache.</summary>
public enum KvType
{
    F32 = 0,

    /// <summary>IEEE half. Magnitudes below its smallest normal number (6.1e-5) are stored as zero, which makes reading cheap.</summary>
    F16 = 1,

    /// <summary>Signed bytes; 32 neighbours of a head share a scale (bfloat16, rounded up): 8.5 bits a number.</summary>
    Q8_0 = 2,
}

/// <summary>
/// How the numbers of a <see cref="KvType"/> are read and written: in vectors of 16 that follow each other, always two of them at a time (of keys two
/// dimensions, of values two positions). Vectors 2i and 2i + 1 take 32 numbers' room, and may share it in any way.
/// </summary>
unsafe interface IKvFormat
{
    /// <summary>Numbers are multiples of the scale of their group of <see cref="KvBlockLayout.ScaleGroup"/>.</summary>
    static abstract bool Scaled { get; }

    /// <summary>Bytes of one number.</summary>
    static abstract int Bytes { get; }

    /// <summary>Numbers are read divided by this, an even power of two.</summary>
    static abstract float Unit { get; }

    /// <summary>Two vectors, divided by <see cref="Unit"/> and not yet scaled.</summary>
    /// <param name="pair">The first byte of both.</param>
    static abstract void Load<TLanes>(byte* pair, out TLanes first, out TLanes second)
        where TLanes : unmanaged, IFloatLanes<TLanes>;

    /// <summary>Chooses a scale for <paramref name="count"/> finite numbers, where the type has one.</summary>
    /// <returns>What the numbers are to be multiplied with before <see cref="Store"/>.</returns>
    static abstract float Scale(float* source, int count, ushort* scale);

    /// <summary>Puts a number into its lane of a vector.</summary>
    /// <param name="numbers">The first byte of vector 0.</param>
    static abstract void Store(float number, byte* numbers, int vector, int lane);
}

/// <summary><see cref="KvType.F32"/>.</summary>
readonly unsafe struct KvF32 : IKvFormat
{
    public static bool Scaled => false;

    public static int Bytes => 4;

    public static float Unit => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load<TLanes>(byte* pair, out TLanes first, out TLanes second)
        where TLanes : unmanaged, IFloatLanes<TLanes>
    {
        first = TLanes.Load((float*)pair);
        second = TLanes.Load((float*)pair + KvBlock.Positions);
    }

    public static float Scale(float* source, int count, ushort* scale) => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float number, byte* numbers, int vector, int lane) => ((float*)numbers)[(vector * KvBlock.Positions) + lane] = number;
}

/// <summary><see cref="KvType.F16"/>.</summary>
readonly unsafe struct KvF16 : IKvFormat
{
    public static bool Scaled => false;

    public static int Bytes => 2;

    public static float Unit => HalfBits.Unit;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load<TLanes>(byte* pair, out TLanes first, out TLanes second)
        where TLanes : unmanaged, IFloatLanes<TLanes> => TLanes.LoadHalfPairs((ushort*)pair, out first, out second);

    public static float Scale(float* source, int count, ushort* scale) => 1;

    /// <summary>The numbers of two vectors stand in pairs, lane by lane, so that one register holds both.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float number, byte* numbers, int vector, int lane) =>
        ((ushort*)numbers)[(((vector & ~1) * KvBlock.Positions) + (2 * lane)) | (vector & 1)] = HalfBits.FromSingle(number);
}

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
