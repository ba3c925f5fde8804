namespace LlamaCluster.Kernels.Lanes;

/// <summary>An instruction set whose byte product adds pairs into 16 bits with saturation (x86's PMADDUBSW).</summary>
interface IPairLanes<V> : ILanes<V> where V : struct
{
    /// <summary>Unsigned codes x signed activations, added up by twos into 16-bit numbers. The caller sees to it that none saturates.</summary>
    static abstract V MultiplyAddPairs(V codes, V activations);

    /// <summary>Sum of 16-bit numbers, modulo 2^16.</summary>
    static abstract V AddShorts(V a, V b);
}
