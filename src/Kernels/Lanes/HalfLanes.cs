using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Lanes;

/// <summary>
/// IEEE half to single by integer and float operations that every width has (.NET exposes no instruction for it), exact for all finite
/// numbers and without a subnormal operand, at which processors stumble.
/// </summary>
static unsafe class HalfLanes<TLanes, V> where TLanes : ILanes<V> where V : struct
{
    const float SmallestNormal = 6.103515625e-05f;
    const uint RaiseExponent = 127 - 15 << 23;

    /// <summary>One half for each lane, to a float.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load(byte* source)
    {
        var half = TLanes.LoadShorts(source);
        var shifted = TLanes.ShiftLeft(TLanes.And(half, TLanes.Spread(0x7fffu)), 13);
        var magnitude = TLanes.Add(shifted, TLanes.Spread(RaiseExponent));

        // A subnormal m 2^-24 now reads (1 + m / 1024) 2^-15, as if it had a leading one: x + (x - 2^-14) takes that away again.
        var excess = TLanes.MinSingle(TLanes.AddSingle(magnitude, TLanes.Spread(-SmallestNormal)), TLanes.Spread(0f));
        var sign = TLanes.ShiftLeft(TLanes.And(half, TLanes.Spread(0x8000u)), 16);
        return TLanes.Or(TLanes.AddSingle(magnitude, excess), sign);
    }
}
