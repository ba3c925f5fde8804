using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;
using V = System.Runtime.Intrinsics.Vector256<byte>;

namespace LlamaCluster.Kernels.Products;

/// <summary>
/// The product of one activation row with quantised weights by AVX2, where codes that are all found before the first is used would not fit into 16 registers.
/// </summary>
sealed unsafe class RowProduct<TFormat, TSums> : IProduct where TFormat : IQuantFormat where TSums : IRowSums
{
    public int BlocksPerScale => QuantLayout<TFormat>.ActivationBlocksPerScale;

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(in ProductTask task, int firstGroup, int endGroup)
    {
        var totals = stackalloc float[RowGroup.Rows];
        for (var group = firstGroup; group < endGroup; group++)
        {
            AddGroup(task.Weights + group * task.GroupBytes, task.Columns / ActivationBlock.Columns / TFormat.BlocksPerHeader, task.Blocks, totals);
            task.Store(totals, group, 0, 1);
        }
    }

    /// <summary>totals[16] = x[C] . w[16, C]^T.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void AddGroup(byte* weights, int headers, ActivationBlock* x, float* totals)
    {
        V total0 = default, total1 = default;
        for (var h = 0; h < headers; h++)
        {
            var scale0 = HalfLanes<Avx2Lanes, V>.Load(weights);
            var scale1 = HalfLanes<Avx2Lanes, V>.Load(weights + Avx2Lanes.Count * sizeof(ushort));
            weights += QuantLayout<TFormat>.HeaderBytes;
            for (var b = 0; b < TFormat.BlocksPerHeader; b++, x++)
            {
                PagesAhead.Fetch<Avx2Lanes, V>(weights);
                total0 = Add(total0, scale0, weights, 0, x);
                total1 = Add(total1, scale1, weights, Avx2Lanes.Count, x);
                weights += QuantLayout<TFormat>.BlockBytes;
            }
        }
        Avx2Lanes.Store(total0, totals);
        Avx2Lanes.Store(total1, totals + Avx2Lanes.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V Add(V total, V scale, byte* block, int lane, ActivationBlock* x)
    {
        byte* small = block + lane, planes = block + QuantLayout<TFormat>.SmallBytes + lane * sizeof(uint);
        var scales = TFormat.Scales<Avx2Lanes, SignSums<Avx2Lanes, V>, V>(scale, default, small, planes);
        return Terms<Avx2Lanes, V>.AddScaled(total, TSums.Of(planes, x).AsByte(), scales.Scale, x);
    }
}

/// <summary>The exact integer sums of a block of 8 rows with an activation row.</summary>
unsafe interface IRowSums
{
    /// <param name="planes">The first row's lane in the first vector.</param>
    static abstract Vector256<int> Of(byte* planes, ActivationBlock* x);
}

/// <summary>Of IQ4_NL and IQ4_XS: codes that stand for one of 16 values, by their magnitudes and signs.</summary>
readonly unsafe struct Iq4RowSums : IRowSums
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Of(byte* planes, ActivationBlock* x)
    {
        var magnitudes = Avx2.BroadcastVector128ToVector256(CodeTables.Iq4 + 16 * SignSums<Avx2Lanes, V>.Table);
        var values = Avx2.BroadcastVector128ToVector256(CodeTables.Iq4 + 16 * (SignSums<Avx2Lanes, V>.Table + 1));
        var (sum0, sum1) = (Vector256<int>.Zero, Vector256<int>.Zero);
        Add(planes, x, 0, magnitudes, values, ref sum0, ref sum1);
        Add(planes, x, 1, magnitudes, values, ref sum0, ref sum1);
        Add(planes, x, 2, magnitudes, values, ref sum0, ref sum1);
        Add(planes, x, 3, magnitudes, values, ref sum0, ref sum1);
        return sum0 + sum1;
    }

    /// <summary>A vector of two codes a byte: columns 4v .. 4v + 3, and 16 on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Add(byte* planes, ActivationBlock* x, int v, V magnitudes, V values, ref Vector256<int> sum0, ref Vector256<int> sum1)
    {
        var codes = Vector256.Load(planes + v * CodePlanes.VectorBytes);
        var mask = Vector256.Create((byte)15);
        sum0 += Products(codes & mask, TilePairs.Spread(x->Values + 4 * v), magnitudes, values);
        sum1 += Products((codes.AsUInt16() >>> 4).AsByte() & mask, TilePairs.Spread(x->Values + 16 + 4 * v), magnitudes, values);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector256<int> Products(V codes, Vector256<sbyte> activations, V magnitudes, V values)
    {
        var signed = Avx2.Sign(activations, Avx2.Shuffle(values, codes).AsSByte());
        return Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(Avx2.Shuffle(magnitudes, codes), signed), TilePairs.Ones);
    }
}
