using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Lanes;

namespace LlamaCluster.Kernels.Tests.Lanes;

public sealed unsafe class HalfLanesTests
{
    [Fact]
    public void Every_finite_half_becomes_its_float()
    {
        Check<ScalarLanes, uint>();
        Check<Vector128Lanes, Vector128<byte>>();
        if (KernelWidths.IsSupported(KernelWidth.Avx2)) Check<Avx2Lanes, Vector256<byte>>();
        if (KernelWidths.IsSupported(KernelWidth.Avx512)) Check<Avx512Lanes, Vector512<byte>>();
    }

    static void Check<TLanes, V>() where TLanes : ILanes<V> where V : struct
    {
        var halves = stackalloc ushort[TLanes.Count];
        var floats = stackalloc float[TLanes.Count];
        for (var bits = 0; bits <= ushort.MaxValue; bits += TLanes.Count)
        {
            for (var i = 0; i < TLanes.Count; i++) halves[i] = (ushort)(bits + i);
            TLanes.Store(HalfLanes<TLanes, V>.Load((byte*)halves), floats);
            for (var i = 0; i < TLanes.Count; i++)
            {
                var expected = (float)BitConverter.UInt16BitsToHalf(halves[i]);
                if (float.IsFinite(expected) && BitConverter.SingleToInt32Bits(expected) != BitConverter.SingleToInt32Bits(floats[i]))
                    Assert.Fail($"half {halves[i]:x4} is {expected:R}, not {floats[i]:R}, with {TLanes.Count} lanes");
            }
        }
    }
}
