using System.Runtime.InteropServices;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests;

/// <summary>Rows of stored weights, and activations, out of a seed.</summary>
static class RandomRows
{
    /// <summary>Stored rows of any bits that are possible, but with scales that are finite: of both signs, subnormal ones and zero among them.</summary>
    public static byte[] Stored(TensorType type, int rows, int columns, int seed)
    {
        var random = new Random(seed);
        var stored = new byte[rows * type.RowBytes(columns)];
        random.NextBytes(stored);
        if (type == TensorType.F32)
            foreach (ref var weight in MemoryMarshal.Cast<byte, float>(stored.AsSpan())) weight = random.NextSingle() * 2 - 1;
        else if (type.BlockSize() == 1)
            foreach (ref var weight in MemoryMarshal.Cast<byte, ushort>(stored.AsSpan())) weight &= 0xbfff;
        else
            for (var block = 0; block < stored.Length; block += type.BlockBytes())
                MakeFinite(type, stored.AsSpan(block, type.BlockBytes()));
        return stored;
    }

    /// <summary>Activations as they are in a model: mostly small, a few large.</summary>
    public static float[] Activations(int rows, int columns, int seed)
    {
        var random = new Random(seed);
        var x = new float[rows * columns];
        foreach (ref var value in x.AsSpan()) value = (random.NextSingle() - 0.5f) * (random.Next(40) == 0 ? 30 : 1);
        return x;
    }

    static void MakeFinite(TensorType type, Span<byte> block)
    {
        if (type == TensorType.MXFP4) block[0] = (byte)(block[0] % 8 == 0 ? block[0] / 128 : 112 + block[0] % 16);
        if (type == TensorType.IQ1_M) (block[53], block[55]) = ((byte)(block[53] & 0x3f), (byte)(block[55] & 0xaf));
        foreach (var offset in HalvesOf(type)) block[offset + 1] &= 0xa3;
    }

    /// <summary>Where a block's half-precision scales are.</summary>
    static int[] HalvesOf(TensorType type) => type switch
    {
        TensorType.MXFP4 or TensorType.NVFP4 or TensorType.IQ1_M => [],
        TensorType.Q1_0 or TensorType.Q2_0 or TensorType.IQ4_NL or TensorType.IQ4_XS or TensorType.IQ3_S or TensorType.IQ3_XXS
            or TensorType.IQ2_S or TensorType.IQ2_XS or TensorType.IQ2_XXS or TensorType.IQ1_S => [0],
        TensorType.TQ1_0 => [52],
        TensorType.TQ2_0 => [64],
        TensorType.Q4_0 or TensorType.Q5_0 or TensorType.Q8_0 => [0],
        TensorType.Q4_1 or TensorType.Q5_1 or TensorType.Q4_K or TensorType.Q5_K => [0, 2],
        TensorType.Q2_K => [80, 82],
        TensorType.Q3_K => [108],
        TensorType.Q6_K => [208],
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a quantised type"),
    };
}
