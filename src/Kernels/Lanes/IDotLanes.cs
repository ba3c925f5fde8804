using LlamaCluster.Kernels.Formats;

namespace LlamaCluster.Kernels.Lanes;

/// <summary>An instruction set that adds four byte products to a 32-bit number at once (VNNI, Arm's SDOT), or is taken as such.</summary>
unsafe interface IDotLanes<V> : ILanes<V> where V : struct
{
    /// <summary>sum + the four products of codes, which are below 128, and signed activations.</summary>
    static abstract V AddDot(V sum, V codes, V activations);

    /// <summary>
    /// The same for codes up to 255. A sum over a block that begins with <see cref="StartOf8Bits"/> is that of (code - 128) x activation.
    /// </summary>
    static abstract V AddDotOf8Bits(V sum, V codes, V activations);

    /// <summary>What a block's sum of 8-bit codes begins with.</summary>
    static abstract V StartOf8Bits(ActivationBlock* x);

    /// <summary>Product of ints, modulo 2^32.</summary>
    static abstract V MultiplyInts(V a, V b);
}
