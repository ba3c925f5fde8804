using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Attention;

/// <summary>Floats as multiples of a unit, in 15 bits and a sign.</summary>
static unsafe class FixedPoint
{
    const int Greatest = short.MaxValue;

    /// <summary>Below it the inverse of a unit is not finite; such numbers count as zero.</summary>
    const float Smallest = 1e-33f;

    /// <summary>Chooses the unit for numbers of at most this magnitude.</summary>
    /// <returns>What they are to be multiplied with before they are rounded.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Unit(float greatest, float* unit)
    {
        *unit = greatest / Greatest;
        return greatest >= Smallest ? Greatest / greatest : 0;
    }
}
