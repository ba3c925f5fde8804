using System.Buffers.Binary;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests.Twins;

/// <summary>
/// 32 columns of a stored row, read element by element from the format page's structures, and how they enter a product.
/// </summary>
/// <param name="Codes">The stored unsigned codes.</param>
/// <param name="Offset">What stands for zero among the codes, for types without minima.</param>
/// <param name="D">The block's scale.</param>
/// <param name="Scales">Integer scales of columns 0..15 and 16..31.</param>
/// <param name="M">The factor of the minima.</param>
/// <param name="Mins">Integer minima of columns 0..15 and 16..31.</param>
sealed record BlockTwin(int[] Codes, int Offset, float D, (int, int) Scales, float M, (int, int) Mins, TensorType Type)
{
    public float AddTo(float total, int[] q, float a)
    {
        var (sum0, sum1) = (Dot(q, 0), Dot(q, 16));
        var (q0, q1) = (q[..16].Sum(), q[16..].Sum());
        switch (Type)
        {
            case TensorType.Q4_0 or TensorType.Q5_0:
                return MathF.FusedMultiplyAdd(MathF.FusedMultiplyAdd(sum0 + sum1, a, -Offset * (a * (q0 + q1))), D, total);
            case TensorType.Q8_0 or TensorType.Q6_K or TensorType.Q3_K:
                var exact = Scales.Item1 * (sum0 - Offset * q0) + Scales.Item2 * (sum1 - Offset * q1);
                return MathF.FusedMultiplyAdd(exact * a, D, total);
            case TensorType.Q2_K:
                total = MathF.FusedMultiplyAdd((Scales.Item1 * sum0 + Scales.Item2 * sum1) * a, D, total);
                return MathF.FusedMultiplyAdd((Mins.Item1 * q0 + Mins.Item2 * q1) * a, M, total);
            default:
                total = MathF.FusedMultiplyAdd((sum0 + sum1) * a, D * Scales.Item1, total);
                return MathF.FusedMultiplyAdd(a * (q0 + q1), M * Mins.Item1, total);
        }
    }

    int Dot(int[] q, int first) => Enumerable.Range(first, 16).Sum(i => Codes[i] * q[i]);

    /// <param name="block">Which 32 columns of the stored block.</param>
    public static BlockTwin Read(TensorType type, ReadOnlySpan<byte> s, int block)
    {
        var codes = new int[32];
        for (var i = 0; i < 32; i++) codes[i] = Code(type, s, block * 32 + i);
        return type switch
        {
            TensorType.Q4_0 => new(codes, 8, Half(s, 0), (1, 1), 0, default, type),
            TensorType.Q5_0 => new(codes, 16, Half(s, 0), (1, 1), 0, default, type),
            TensorType.Q8_0 => new(codes, 128, Half(s, 0), (1, 1), 0, default, type),
            TensorType.Q4_1 or TensorType.Q5_1 => new(codes, 0, Half(s, 0), (1, 1), Half(s, 2), (1, 1), type),
            TensorType.Q4_K or TensorType.Q5_K => new(codes, 0, Half(s, 0), Twice(Scale4(s, block)), -Half(s, 2), Twice(Min4(s, block)), type),
            TensorType.Q6_K => new(codes, 32, Half(s, 208), ((sbyte)s[192 + 2 * block], (sbyte)s[193 + 2 * block]), 0, default, type),
            TensorType.Q3_K => new(codes, 4, Half(s, 108), (Scale3(s, 2 * block), Scale3(s, 2 * block + 1)), 0, default, type),
            TensorType.Q2_K => new(
                codes, 0, Half(s, 80), (s[2 * block] & 15, s[2 * block + 1] & 15), -Half(s, 82), (s[2 * block] >> 4, s[2 * block + 1] >> 4), type),
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a quantised type"),
        };
    }

    static int Code(TensorType type, ReadOnlySpan<byte> s, int i) => type switch
    {
        TensorType.Q4_0 => (s[2 + i % 16] >> (i / 16 * 4)) & 15,
        TensorType.Q4_1 => (s[4 + i % 16] >> (i / 16 * 4)) & 15,
        TensorType.Q5_0 => ((s[6 + i % 16] >> (i / 16 * 4)) & 15) + 16 * ((s[2 + i / 8] >> (i % 8)) & 1),
        TensorType.Q5_1 => ((s[8 + i % 16] >> (i / 16 * 4)) & 15) + 16 * ((s[4 + i / 8] >> (i % 8)) & 1),
        TensorType.Q8_0 => (sbyte)s[2 + i] + 128,
        TensorType.Q4_K => (s[16 + i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4)) & 15,
        TensorType.Q5_K => ((s[48 + i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4)) & 15) + 16 * ((s[16 + i % 32] >> (i / 32)) & 1),
        TensorType.Q6_K => ((s[i / 128 * 64 + i % 64] >> (i / 64 % 2 * 4)) & 15) + 16 * ((s[128 + i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2)) & 3),
        TensorType.Q3_K => ((s[32 + i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2)) & 3) + 4 * ((s[i % 32] >> (i / 32)) & 1),
        _ => (s[16 + i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2)) & 3,
    };

    static float Half(ReadOnlySpan<byte> s, int offset) => (float)BinaryPrimitives.ReadHalfLittleEndian(s[offset..]);

    static (int, int) Twice(int value) => (value, value);

    static int Scale4(ReadOnlySpan<byte> s, int j) => j < 4 ? s[4 + j] & 63 : (s[8 + j] & 15) + 16 * (s[j] >> 6);

    static int Min4(ReadOnlySpan<byte> s, int j) => j < 4 ? s[8 + j] & 63 : (s[8 + j] >> 4) + 16 * (s[4 + j] >> 6);

    static int Scale3(ReadOnlySpan<byte> s, int j) => ((s[96 + j % 8] >> (j / 8 * 4)) & 15) + 16 * ((s[104 + j % 4] >> (j / 4 * 2)) & 3) - 32;
}
