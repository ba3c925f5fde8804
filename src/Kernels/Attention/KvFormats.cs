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

    /// <summary>Signed bytes; 32 neighbours of a head share a scale (bfloat16): 8.5 bits a number.</summary>
    Q8_0 = 2,

    /// <summary>
    /// Integers of 4 bits; 32 neighbours of a head, rotated before (<see cref="Rotation{TLanes}"/>), share a scale (bfloat16): 4.5 bits a number.
    /// </summary>
    Q4_0 = 3,
}

/// <summary>
/// How the numbers of a <see cref="KvType"/> that is computed with floats are read and written: in vectors of 16 that follow each other, always two of
/// them at a time (of keys two dimensions, of values two positions). Vectors 2i and 2i + 1 take 32 numbers' room, and may share it in any way.
/// </summary>
unsafe interface IKvFormat
{
    /// <summary>Bytes of one number.</summary>
    static abstract int Bytes { get; }

    /// <summary>Numbers are read divided by this, an even power of two.</summary>
    static abstract float Unit { get; }

    /// <summary>Two vectors, divided by <see cref="Unit"/>.</summary>
    /// <param name="pair">The first byte of both.</param>
    static abstract void Load<TLanes>(byte* pair, out TLanes first, out TLanes second)
        where TLanes : unmanaged, IFloatLanes<TLanes>;

    /// <summary>Puts a number into its lane of a vector.</summary>
    /// <param name="numbers">The first byte of vector 0.</param>
    static abstract void Store(float number, byte* numbers, int vector, int lane);
}

/// <summary><see cref="KvType.F32"/>.</summary>
readonly unsafe struct KvF32 : IKvFormat
{
    public static int Bytes => 4;

    public static float Unit => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load<TLanes>(byte* pair, out TLanes first, out TLanes second)
        where TLanes : unmanaged, IFloatLanes<TLanes>
    {
        first = TLanes.Load((float*)pair);
        second = TLanes.Load((float*)pair + KvBlock.Positions);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float number, byte* numbers, int vector, int lane) => ((float*)numbers)[(vector * KvBlock.Positions) + lane] = number;
}

/// <summary><see cref="KvType.F16"/>.</summary>
readonly unsafe struct KvF16 : IKvFormat
{
    public static int Bytes => 2;

    public static float Unit => HalfBits.Unit;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load<TLanes>(byte* pair, out TLanes first, out TLanes second)
        where TLanes : unmanaged, IFloatLanes<TLanes> => TLanes.LoadHalfPairs((ushort*)pair, out first, out second);

    /// <summary>The numbers of two vectors stand in pairs, lane by lane, so that one register holds both.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float number, byte* numbers, int vector, int lane) =>
        ((ushort*)numbers)[(((vector & ~1) * KvBlock.Positions) + (2 * lane)) | (vector & 1)] = HalfBits.FromSingle(number);
}
