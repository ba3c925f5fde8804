using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Lanes;

namespace LlamaCluster.Kernels.Products;

/// <summary>
/// Floats to <see cref="ActivationBlock"/>s: 32 columns of a row by themselves, or 256 that share a scale, a = max|x| / 127, q = x (127 / max|x|) rounded
/// to the nearest (ties to even). An element is off by at most a / 2, 0.4 % of the largest of those that share the scale. Only operations that
/// round once and alike on every processor are used.
/// </summary>
static unsafe class ActivationQuantizer
{
    /// <summary>Adding it to a number below 2^22 leaves the number, rounded to an integer, in the lowest bits.</summary>
    const float Rounder = 3 << 22;

    /// <summary>Blocks whose largest element is smaller count as zero: their 127 / max|x| is beyond a float's range.</summary>
    const float Smallest = 1e-36f;

    /// <param name="x"><paramref name="count"/> x 32 columns.</param>
    /// <param name="block">The first of <paramref name="count"/> blocks that share a scale, <paramref name="stride"/> blocks apart.</param>
    /// <param name="least">The scale is as if there were a number of this magnitude among them.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Quantize(float* x, ActivationBlock* block, int count, int stride, float least = 0)
    {
        var magnitude = Vector512.Create(BitConverter.SingleToInt32Bits(least) & int.MaxValue);
        for (var i = 0; i < count * ActivationBlock.Columns; i += 16)
            magnitude = Vector512.Max(magnitude, Vector512.Load(x + i).AsInt32() & Vector512.Create(int.MaxValue));

        // As integers, magnitudes are in order and what is not finite is above all.
        var eight = Vector256.Max(magnitude.GetLower(), magnitude.GetUpper());
        var four = Vector128.Max(eight.GetLower(), eight.GetUpper());
        var largest = Math.Max(Math.Max(four[0], four[1]), Math.Max(four[2], four[3]));
        var max = BitConverter.Int32BitsToSingle(largest);
        for (var i = 0; i < count; i++, x += ActivationBlock.Columns, block += stride)
        {
            if (!float.IsFinite(max)) SetEmpty(block, float.NaN);
            else if (max < Smallest) SetEmpty(block, 0);
            else SetValues(x, max, block);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void SetEmpty(ActivationBlock* block, float scale)
    {
        *block = default;
        block->Scale = scale;
        block->ScaledSum = block->Minus8ScaledSum = block->Minus16ScaledSum = scale;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void SetValues(float* x, float max, ActivationBlock* block)
    {
        var inverse = Vector128.Create(127 / max);
        var sum = SetHalf(x, inverse, block, 0) + SetHalf(x, inverse, block, 1);
        block->Scale = max / 127;
        block->ScaledSum = block->Scale * sum;
        block->Minus8ScaledSum = -8 * block->ScaledSum;
        block->Minus16ScaledSum = -16 * block->ScaledSum;
        block->Minus128Sum = -128 * sum;
    }

    /// <summary>16 columns and their sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static int SetHalf(float* x, Vector128<float> inverse, ActivationBlock* block, int half)
    {
        x += 16 * half;
        var (q0, q1, q2, q3) = (Round(x, inverse), Round(x + 4, inverse), Round(x + 8, inverse), Round(x + 12, inverse));
        Vector128.Narrow(Vector128.Narrow(q0, q1), Vector128.Narrow(q2, q3)).Store(block->Values + 16 * half);

        // Element i is the sum over the columns c with c mod 4 = i.
        var sums = q0 + q1 + (q2 + q3);
        var (first, second) = (sums[0] + sums[1], sums[2] + sums[3]);
        block->Minus32Pairs[2 * half] = (short)(-32 * first);
        block->Minus32Pairs[2 * half + 1] = (short)(-32 * second);
        block->HalfSums[half] = (short)(first + second);
        return first + second;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<int> Round(float* x, Vector128<float> inverse) =>
        (Vector128.Load(x) * inverse + Vector128.Create(Rounder)).AsInt32() - Vector128.Create(Rounder).AsInt32();
}
