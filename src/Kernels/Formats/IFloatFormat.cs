using LlamaCluster.Kernels.Lanes;

namespace LlamaCluster.Kernels.Formats;

/// <summary>A float tensor type. Packed, the 16 rows of a group stand together, column after column.</summary>
unsafe interface IFloatFormat
{
    /// <summary>Bytes of a weight.</summary>
    static abstract int Bytes { get; }

    /// <summary>Whether the weight stored at <paramref name="weight"/> is neither infinite nor no number.</summary>
    static abstract bool IsFinite(byte* weight);

    /// <summary>One column's weights of a register's rows, as floats.</summary>
    static abstract V Load<TLanes, V>(byte* weights) where TLanes : ILanes<V> where V : struct;
}
