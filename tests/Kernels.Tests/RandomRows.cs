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
                foreach (var offset in HalvesOf(type))
                    stored[block + offset + 1] &= 0xa3;
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

    /// <summary>Where a block's half-precision scales are.</summary>
    static int[] HalvesOf(TensorType type) => type switch
    {
        TensorType.Q4_0 or TensorType.Q5_0 or TensorType.Q8_0 => [0],
        TensorType.Q4_1 or TensorType.Q5_1 or TensorType.Q4_K or TensorType.Q5_K => [0, 2],
        TensorType.Q2_K => [80, 82],
        TensorType.Q3_K => [108],
        TensorType.Q6_K => [208],
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a quantised type"),
    };
}
