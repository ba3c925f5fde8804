using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Formats;

/// <summary>The factors of a block for a register's rows; a format uses those that it needs.</summary>
[method: MethodImpl(MethodImplOptions.AggressiveInlining)]
readonly struct BlockScales<V>(V scale, V min = default, V first = default, V second = default, V minPairs = default) where V : struct
{
    /// <summary>Floats: factor of the sum of code x activation.</summary>
    public readonly V Scale = scale;

    /// <summary>Floats: factor of the sum of activations.</summary>
    public readonly V Min = min;

    /// <summary>Integer scales of columns 0..15 and 16..31, as <see cref="Lanes.IBlockSums{V}.SubScale"/> makes them.</summary>
    public readonly V First = first, Second = second;

    /// <summary>Integer minima of columns 0..15 and 16..31, as two 16-bit numbers.</summary>
    public readonly V MinPairs = minPairs;
}
