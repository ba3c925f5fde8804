using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// How the numbers of a <see cref="KvType"/> are read and written that are small integers, <b>codes</b>, times the scale of their group of
/// <see cref="KvBlockLayout.ScaleGroup"/>. They stand in steps of 64: two registers of sixteen pairs (<see cref="IIntegerLanes{TSelf, TFloats}"/>).
/// </summary>
unsafe interface IScaledKvFormat
{
    /// <summary>Bytes of a step.</summary>
    static abstract int StepBytes { get; }

    /// <summary>Whether what is stored was rotated before, and queries and outputs are.</summary>
    static abstract bool Rotates { get; }

    /// <summary>Both registers of a step.</summary>
    static abstract void Load<TIntegers, TFloats>(byte* step, out TIntegers first, out TIntegers second)
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>;

    /// <summary>Chooses a scale for <paramref name="count"/> finite numbers.</summary>
    /// <returns>What the numbers are to be multiplied with before <see cref="Store"/>.</returns>
    static abstract float Scale(float* source, int count, ushort* scale);

    /// <summary>Rounds a number and puts it into a step.</summary>
    /// <param name="register">0 or 1.</param>
    /// <param name="place">0 to 31: twice the lane, and one more for the second one of its pair.</param>
    static abstract void Store(float number, byte* step, int register, int place);
}

/// <summary>Scales of <see cref="IScaledKvFormat"/>: bfloat16, rounded away from zero, so that no code leaves its range.</summary>
static unsafe class KvScale
{
    /// <summary>2^-126: a smaller scale would have an infinite inverse; such numbers are stored as zero.</summary>
    const float Smallest = 1.17549435e-38f;

    /// <summary>The number of the greatest magnitude.</summary>
    public static float Extreme(float* source, int count)
    {
        var extreme = 0f;
        for (var i = 0; i < count; i++)
            if (MathF.Abs(source[i]) > MathF.Abs(extreme)) extreme = source[i];
        return extreme;
    }

    /// <returns>The inverse of what is kept.</returns>
    public static float Keep(float value, ushort* scale)
    {
        *scale = (ushort)((BitConverter.SingleToUInt32Bits(value) + 0xFFFF) >> 16);
        var kept = BitConverter.Int32BitsToSingle(*scale << 16);
        return MathF.Abs(kept) >= Smallest ? 1 / kept : 0;
    }
}

/// <summary>
/// <see cref="KvType.Q8_0"/>: round(x / scale), where scale is max |x| / 127 rounded up, so that no code exceeds 127. A number is off by at most half its
/// scale: 1/252 of the greatest in its group.
/// </summary>
readonly unsafe struct KvQ8 : IScaledKvFormat
{
    public static int StepBytes => 64;

    public static bool Rotates => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load<TIntegers, TFloats>(byte* step, out TIntegers first, out TIntegers second)
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        first = TIntegers.LoadBytes((sbyte*)step);
        second = TIntegers.LoadBytes((sbyte*)step + 32);
    }

    public static float Scale(float* source, int count, ushort* scale) => KvScale.Keep(MathF.Abs(KvScale.Extreme(source, count)) / 127, scale);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float number, byte* step, int register, int place) => ((sbyte*)step)[(32 * register) + place] = (sbyte)MathF.Round(number);
}

/// <summary>
/// <see cref="KvType.Q4_0"/>: round(x / scale), at most 7, where scale is the number of the greatest magnitude / -8, as in ggml's Q4_0. The first
/// register is in the lower halves of bytes, the second one in the upper.
/// </summary>
readonly unsafe struct KvQ4 : IScaledKvFormat
{
    public static int StepBytes => 32;

    public static bool Rotates => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load<TIntegers, TFloats>(byte* step, out TIntegers first, out TIntegers second)
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats> => TIntegers.LoadHalfBytes((sbyte*)step, out first, out second);

    public static float Scale(float* source, int count, ushort* scale) => KvScale.Keep(KvScale.Extreme(source, count) / -8, scale);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float number, byte* step, int register, int place)
    {
        var code = (int)MathF.Min(MathF.Round(number), 7) & 15;
        step[place] = (byte)(register == 0 ? (step[place] & 0xF0) | code : (step[place] & 0x0F) | (code << 4));
    }
}
