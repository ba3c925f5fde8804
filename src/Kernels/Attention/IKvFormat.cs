using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// How the numbers of a <see cref="KvType"/> are read and written: in vectors of 16 that follow each other, always two of them at a time (of keys two
/// dimensions, of values two positions). Vectors 2i and 2i + 1 take 32 numbers' room, and may share it in any way.
/// </summary>
unsafe interface IKvFormat
{
    /// <summary>Numbers are multiples of the scale of their group of <see cref="KvBlockLayout.ScaleGroup"/>.</summary>
    static abstract bool Scaled { get; }

    /// <summary>Bytes of one number.</summary>
    static abstract int Bytes { get; }

    /// <summary>Numbers are read divided by this, an even power of two.</summary>
    static abstract float Unit { get; }

    /// <summary>Two vectors, divided by <see cref="Unit"/> and not yet scaled.</summary>
    /// <param name="pair">The first byte of both.</param>
    static abstract void Load<TLanes>(byte* pair, out TLanes first, out TLanes second)
        where TLanes : unmanaged, IFloatLanes<TLanes>;

    /// <summary>Chooses a scale for <paramref name="count"/> finite numbers, where the type has one.</summary>
    /// <returns>What the numbers are to be multiplied with before <see cref="Store"/>.</returns>
    static abstract float Scale(float* source, int count, ushort* scale);

    /// <summary>Puts a number into its lane of a vector.</summary>
    /// <param name="numbers">The first byte of vector 0.</param>
    static abstract void Store(float number, byte* numbers, int vector, int lane);
}
