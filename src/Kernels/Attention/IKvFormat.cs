using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Attention;

/// <summary>How the numbers of a <see cref="KvType"/> are read and written. Indexes count numbers, not bytes.</summary>
unsafe interface IKvFormat
{
    /// <summary>Numbers are multiples of the scale of their group of <see cref="KvBlockLayout.ScaleGroup"/>.</summary>
    static abstract bool Scaled { get; }

    /// <summary>Sixteen neighbours, not yet scaled.</summary>
    static abstract TLanes Load<TLanes>(byte* numbers, int index)
        where TLanes : unmanaged, IFloatLanes<TLanes>;

    /// <summary>Writes <paramref name="count"/> finite numbers that share a scale, each <paramref name="stride"/> after the one before.</summary>
    static abstract void Store(float* source, int count, byte* numbers, int index, int stride, ushort* scale);
}
