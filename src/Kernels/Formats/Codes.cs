using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Formats;

/// <summary>
/// The unsigned codes of 32 columns of as many rows as a register has lanes: register v holds, in each lane, columns 4v .. 4v + 3 of that
/// lane's row, the first in the lowest byte.
/// </summary>
[method: MethodImpl(MethodImplOptions.AggressiveInlining)]
readonly struct Codes<V>(V c0, V c1, V c2, V c3, V c4, V c5, V c6, V c7) where V : struct
{
    public readonly V C0 = c0, C1 = c1, C2 = c2, C3 = c3, C4 = c4, C5 = c5, C6 = c6, C7 = c7;
}
