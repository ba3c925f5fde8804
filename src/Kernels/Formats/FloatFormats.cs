using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Lanes;

namespace LlamaCluster.Kernels.Formats;

/// <summary>A float tensor type. Packed, the 16 rows of a group stand together, column after column.</summary>
unsafe interface IFloatFormat
{
    /// <summary>Bytes of a weight.</summary>
    static abstract int Bytes { get; }

    /// <summary>Whether the weight stored at <paramref name="weight"/> is neither infinite nor no number.</summary>
    static abstract bool IsFinite(byte* weight);

    /// <summary>One column's weights of a register's rows, as floats.</summary>
    static abstract V Load<TLanes, V>(byte* weights) where TLanes : ILanes<V> where V : struct;
}

/// <summary>IEEE single.</summary>
readonly unsafe struct F32Format : IFloatFormat
{
    public static int Bytes => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsFinite(byte* weight) => float.IsFinite(Unsafe.ReadUnaligned<float>(weight));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load<TLanes, V>(byte* weights) where TLanes : ILanes<V> where V : struct => TLanes.Load(weights);
}

/// <summary>IEEE half.</summary>
readonly unsafe struct F16Format : IFloatFormat
{
    public static int Bytes => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsFinite(byte* weight) => (Unsafe.ReadUnaligned<ushort>(weight) & 0x7c00) != 0x7c00;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load<TLanes, V>(byte* weights) where TLanes : ILanes<V> where V : struct => HalfLanes<TLanes, V>.Load(weights);
}

/// <summary>bfloat16, the upper half of a single.</summary>
readonly unsafe struct BF16Format : IFloatFormat
{
    public static int Bytes => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsFinite(byte* weight) => (Unsafe.ReadUnaligned<ushort>(weight) & 0x7f80) != 0x7f80;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load<TLanes, V>(byte* weights) where TLanes : ILanes<V> where V : struct =>
        TLanes.ShiftLeft(TLanes.LoadShorts(weights), 16);
}
