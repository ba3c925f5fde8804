using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels;

/// <summary>Sizes of the stored tensor types.</summary>
public static class TensorTypes
{
    /// <summary>Consecutive elements of a row that are stored together: 1 for floats, 32 to 256 for quantised types.</summary>
    public static int BlockSize(this TensorType type) => type switch
    {
        TensorType.F32 or TensorType.F16 or TensorType.BF16 => 1,
        TensorType.Q4_0 or TensorType.Q4_1 or TensorType.Q5_0 or TensorType.Q5_1 or TensorType.Q8_0
            or TensorType.IQ4_NL or TensorType.MXFP4 => 32,
        TensorType.Q2_0 or TensorType.NVFP4 => 64,
        TensorType.Q1_0 => 128,
        TensorType.Q2_K or TensorType.Q3_K or TensorType.Q4_K or TensorType.Q5_K or TensorType.Q6_K
            or TensorType.IQ4_XS or TensorType.IQ3_S or TensorType.IQ3_XXS or TensorType.IQ2_S or TensorType.IQ2_XS or TensorType.IQ2_XXS
            or TensorType.IQ1_S or TensorType.IQ1_M or TensorType.TQ1_0 or TensorType.TQ2_0 => 256,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a tensor type"),
    };

    /// <summary>
    /// Consecutive activations that become integers by one scale where they meet weights of this type: 32, or 256 where a block has as many; 1 for floats,
    /// which meet activations as they are.
    /// </summary>
    public static int ActivationsPerScale(this TensorType type) => type.BlockSize() is 1 or 256 ? type.BlockSize() : 32;

    /// <summary>Bytes that one block takes.</summary>
    public static int BlockBytes(this TensorType type) => type switch
    {
        TensorType.F32 => 4,
        TensorType.F16 or TensorType.BF16 => 2,
        TensorType.Q4_0 => 18,
        TensorType.Q4_1 => 20,
        TensorType.Q5_0 => 22,
        TensorType.Q5_1 => 24,
        TensorType.Q8_0 => 34,
        TensorType.Q2_K => 84,
        TensorType.Q3_K => 110,
        TensorType.Q4_K => 144,
        TensorType.Q5_K => 176,
        TensorType.Q6_K => 210,
        TensorType.IQ4_NL or TensorType.Q1_0 or TensorType.Q2_0 => 18,
        TensorType.IQ4_XS => 136,
        TensorType.IQ3_S => 110,
        TensorType.IQ3_XXS => 98,
        TensorType.IQ2_S => 82,
        TensorType.IQ2_XS => 74,
        TensorType.IQ2_XXS => 66,
        TensorType.IQ1_S => 50,
        TensorType.IQ1_M => 56,
        TensorType.TQ1_0 => 54,
        TensorType.TQ2_0 => 66,
        TensorType.MXFP4 => 17,
        TensorType.NVFP4 => 36,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a tensor type"),
    };

    /// <summary>Bytes of a row of <paramref name="columns"/> elements, which must be a multiple of the block size.</summary>
    public static long RowBytes(this TensorType type, long columns)
    {
        var (blocks, rest) = Math.DivRem(columns, type.BlockSize());
        if (rest != 0) throw new ArgumentException($"{columns} columns are not whole {type} blocks of {type.BlockSize()}", nameof(columns));
        return checked(blocks * type.BlockBytes());
    }
}
