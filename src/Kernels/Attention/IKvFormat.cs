using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Attention;

/// <summary>How the numbers of a <see cref="KvType"/> are read and written. Indexes count numbers, not bytes.</summary>
unsafe interface IKvFormat
{
    /// <summary>Numbers are multiples of the scale of their group of <see cref="KvBlockLayout.ScaleGroup"/>.</summary>
    static abstract bool Scaled { get; }

    /// <summary>Bytes of one number.</summary>
    static abstract int Bytes { get; }

    /// <summary>Sixteen neighbours, not yet scaled.</summary>
    static abstract TLanes Load<TLanes>(byte* numbers, int index)
        where TLanes : unmanaged, IFloatLanes<TLanes>;

    /// <summary>Chooses a scale for <paramref name="count"/> finite numbers, where the type has one.</summary>
    /// <returns>What the numbers are to be multiplied with before <see cref="Store"/>.</returns>
    static abstract float Scale(float* source, int count, ushort* scale);

    static abstract void Store(float number, byte* numbers, int index);
}
