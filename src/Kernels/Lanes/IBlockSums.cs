using LlamaCluster.Kernels.Formats;

namespace LlamaCluster.Kernels.Lanes;

/// <summary>Exact integer sums over the 32 columns of a block, for each of a register's rows and one activation row.</summary>
unsafe interface IBlockSums<V> where V : struct
{
    /// <summary>Sum of codes x activations; codes below 16.</summary>
    static abstract V Of4Bits(in Codes<V> codes, ActivationBlock* x);

    /// <summary>Sum of codes x activations; codes below 32.</summary>
    static abstract V Of5Bits(in Codes<V> codes, ActivationBlock* x);

    /// <summary>8-bit codes in the two parts that <see cref="Of8Bits"/> takes, done once for all activation rows.</summary>
    static abstract void Split8Bits(ref Codes<V> codes, out Codes<V> upper);

    /// <summary>Sum of (code - 128) x activations.</summary>
    static abstract V Of8Bits(in Codes<V> codes, in Codes<V> upper, ActivationBlock* x);

    /// <summary>Sum of scale x code x activation; codes below 4.</summary>
    /// <param name="first">Scale of columns 0..15, 0..15, made by <see cref="SubScale"/>.</param>
    /// <param name="second">Scale of columns 16..31.</param>
    static abstract V Scaled2Bits(in Codes<V> codes, ActivationBlock* x, V first, V second);

    /// <summary>Sum of scale x (code - 32) x activation; codes below 64, scales -128..127.</summary>
    static abstract V Scaled6Bits(in Codes<V> codes, ActivationBlock* x, V first, V second);

    /// <summary>Ints -128..127 in the form that the scaled sums take.</summary>
    static abstract V SubScale(V ints);
}
