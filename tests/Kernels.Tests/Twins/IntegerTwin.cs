using System.Buffers.Binary;
using System.Numerics;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests.Twins;

/// <summary>
/// 32 columns of a stored row of a type whose weights are integers times a float, read element by element from the structures of ggml-common.h. Integer
/// scales of 16 columns are in the integers.
/// </summary>
/// <param name="Weights">Integers.</param>
/// <param name="D">The float of columns 0..15.</param>
/// <param name="Second">The float of columns 16..31 where it is another, whose sum is then added by itself.</param>
sealed record IntegerTwin(int[] Weights, float D, float? Second = null)
{
    static readonly int[] Iq4 = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
    static readonly int[] Fp4 = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

    public float AddTo(float total, int[] q, float a)
    {
        if (Second is not { } second) return MathF.FusedMultiplyAdd(Dot(q, 0, 32) * a, D, total);
        return MathF.FusedMultiplyAdd(Dot(q, 16, 32) * a, second, MathF.FusedMultiplyAdd(Dot(q, 0, 16) * a, D, total));
    }

    int Dot(int[] q, int first, int end) => Enumerable.Range(first, end - first).Sum(i => Weights[i] * q[i]);

    /// <summary>Null if the type is read by <see cref="BlockTwin"/>.</summary>
    /// <param name="block">Which 32 columns of the stored block.</param>
    public static IntegerTwin? Read(TensorType type, ReadOnlySpan<byte> s, int block)
    {
        var w = new int[32];
        float d, second;
        switch (type)
        {
            case TensorType.IQ4_NL:
                for (var i = 0; i < 32; i++) w[i] = Iq4[Nibble(s, 2, i)];
                return new(w, Half(s, 0));
            case TensorType.IQ4_XS:
                for (var i = 0; i < 32; i++) w[i] = Iq4[Nibble(s, 8 + 16 * block, i)];
                return new(w, Half(s, 0) * ((s[4 + block / 2] >> (block % 2 * 4) & 15) + 16 * ((s[2] + 256 * s[3]) >> (2 * block) & 3) - 32));
            case TensorType.MXFP4:
                for (var i = 0; i < 32; i++) w[i] = Fp4[Nibble(s, 1, i)];
                return new(w, (float)Math.Pow(2, s[0] - 128));
            case TensorType.NVFP4:
                for (var i = 0; i < 32; i++) w[i] = Fp4[s[4 + 16 * block + i / 16 * 8 + i % 8] >> (i % 16 / 8 * 4) & 15];
                (d, second) = (HalfOfE4M3(s[2 * block]), HalfOfE4M3(s[2 * block + 1]));
                return new(w, d, second);
            case TensorType.Q1_0:
                for (var i = 0; i < 32; i++) w[i] = (s[2 + 4 * block + i / 8] >> (i % 8) & 1) == 1 ? 1 : -1;
                return new(w, Half(s, 0));
            case TensorType.Q2_0:
                for (var i = 0; i < 32; i++) w[i] = (s[2 + 8 * block + i / 4] >> (i % 4 * 2) & 3) - 1;
                return new(w, Half(s, 0));
            case TensorType.TQ2_0:
                for (var i = 0; i < 32; i++) w[i] = (s[block / 4 * 32 + i] >> (block % 4 * 2) & 3) - 1;
                return new(w, Half(s, 64));
            case TensorType.TQ1_0:
                for (var i = 0; i < 32; i++) w[i] = Ternary(s, 32 * block + i) - 1;
                return new(w, Half(s, 52));
            case TensorType.IQ3_S:
                for (var i = 0; i < 32; i++)
                {
                    var code = s[2 + 8 * block + i / 4] + 256 * (s[66 + block] >> (i / 4) & 1);
                    w[i] = CodeGrid.Iq3S.Value(code, i % 4) * Sign(s[74 + 4 * block + i / 8], i);
                }
                return new(w, Half(s, 0) * (1 + 2 * (s[106 + block / 2] >> (block % 2 * 4) & 15)));
            case TensorType.IQ3_XXS:
                var aux = BinaryPrimitives.ReadUInt32LittleEndian(s[(66 + 4 * block)..]);
                for (var i = 0; i < 32; i++) w[i] = CodeGrid.Iq3Xxs.Value(s[2 + 8 * block + i / 4], i % 4) * Sign(Even(aux >> (i / 8 * 7)), i);
                return new(w, Half(s, 0) * (0.5f + (aux >> 28)) * 0.5f);
            case TensorType.IQ2_XXS:
                aux = BinaryPrimitives.ReadUInt32LittleEndian(s[(6 + 8 * block)..]);
                for (var i = 0; i < 32; i++) w[i] = CodeGrid.Iq2Xxs.Value(s[2 + 8 * block + i / 8], i % 8) * Sign(Even(aux >> (i / 8 * 7)), i);
                return new(w, Half(s, 0) * (0.5f + (aux >> 28)) * 0.25f);
            case TensorType.IQ2_XS:
                for (var i = 0; i < 32; i++)
                {
                    var code = BinaryPrimitives.ReadUInt16LittleEndian(s[(2 + 8 * block + i / 8 * 2)..]);
                    w[i] = (2 * (s[66 + block] >> (i / 16 * 4) & 15) + 1) * CodeGrid.Iq2Xs.Value(code & 511, i % 8) * Sign(Even((uint)code >> 9), i);
                }
                return new(w, Half(s, 0) / 8);
            case TensorType.IQ2_S:
                for (var i = 0; i < 32; i++)
                {
                    var code = s[2 + 4 * block + i / 8] + 256 * (s[66 + block] >> (i / 8 * 2) & 3);
                    w[i] = (2 * (s[74 + block] >> (i / 16 * 4) & 15) + 1) * CodeGrid.Iq2S.Value(code, i % 8) * Sign(s[34 + 4 * block + i / 8], i);
                }
                return new(w, Half(s, 0) / 8);
            case TensorType.IQ1_S:
                var high = s[34 + 2 * block] + 256 * s[35 + 2 * block];
                for (var i = 0; i < 32; i++)
                    w[i] = 8 * CodeGrid.Iq1.Value(s[2 + 4 * block + i / 8] + 256 * (high >> (i / 8 * 3) & 7), i % 8) + (high >> 15 == 1 ? -1 : 1);
                return new(w, Half(s, 0) / 8 * (2 * (high >> 12 & 7) + 1));
            case TensorType.IQ1_M:
                for (var i = 0; i < 32; i++)
                {
                    var nibble = s[32 + 2 * block + i / 16] >> (i / 8 % 2 * 4) & 15;
                    var scale = (s[48 + block / 2 * 2] + 256 * s[49 + block / 2 * 2]) >> (block % 2 * 6 + i / 16 * 3) & 7;
                    w[i] = (2 * scale + 1) * (8 * CodeGrid.Iq1.Value(s[4 * block + i / 8] + 256 * (nibble & 7), i % 8) + (nibble > 7 ? -1 : 1));
                }
                return new(w, (float)BitConverter.UInt16BitsToHalf((ushort)((s[49] >> 4) + 16 * (s[51] >> 4) + 256 * (s[53] >> 4) + 4096 * (s[55] >> 4))) / 8);
            default:
                return null;
        }
    }

    static int Nibble(ReadOnlySpan<byte> s, int first, int i) => s[first + i % 16] >> (i / 16 * 4) & 15;

    static float Half(ReadOnlySpan<byte> s, int offset) => (float)BinaryPrimitives.ReadHalfLittleEndian(s[offset..]);

    static int Even(uint seven) => (int)(seven & 127) + (BitOperations.PopCount(seven & 127) % 2 == 1 ? 128 : 0);

    static int Sign(int signs, int i) => (signs >> (i % 8) & 1) == 1 ? -1 : 1;

    static float HalfOfE4M3(byte b)
    {
        var (exponent, fraction) = (b >> 3 & 15, b & 7);
        if (b == 0x7f) return 0;
        return (float)((exponent == 0 ? fraction / 8.0 * Math.Pow(2, -6) : (1 + fraction / 8.0) * Math.Pow(2, exponent - 7)) / 2);
    }

    static int Ternary(ReadOnlySpan<byte> s, int i)
    {
        int[] powers = [1, 3, 9, 27, 81];
        var (at, n) = i < 160 ? (i % 32, i / 32) : i < 240 ? (32 + i % 16, (i - 160) / 16) : (48 + i % 4, (i - 240) / 4);
        return (byte)(s[at] * powers[n]) * 3 / 256;
    }
}
