using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Lanes;
using static System.Runtime.CompilerServices.MethodImplOptions;

namespace LlamaCluster.Kernels.Formats;

/// <summary>d q, 32 columns a block; the codes are q + 128.</summary>
readonly unsafe struct Q8_0Format : IQuantFormat
{
    public static int BlocksPerHeader => 1;

    public static bool HasMinima => false;

    public static bool HasSubScales => false;

    public static int CodeBits => 8;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var sign = Vector128.Create((byte)128);
        return new(Vector128.Create(stored.Slice(2, 16)) ^ sign, Vector128.Create(stored.Slice(18, 16)) ^ sign, StoredBits.Half(stored, 0));
    }

    public static float Value(int code, float scale, float min, (byte A, byte B) sub, bool secondHalf) =>
        scale * (code - 128);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* sub)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct => new(scale);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, TSums.Of8Bits(codes, upper, x), scales.Scale, x);
}
