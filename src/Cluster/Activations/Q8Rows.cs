using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace LlamaCluster.Cluster.Activations;

/// <summary>
/// Blocks of 32 values (the last of a row may be shorter): an f32 scale, the largest magnitude / 127, then one int8 a value. A block
/// that holds a NaN or an infinity comes back as NaNs, so that trouble does not hide.
/// </summary>
static class Q8Rows
{
    const int Block = 32;
    const float Largest = 127;

    /// <summary>Below it a block counts as zeros: the inverse would overflow.</summary>
    const float SmallestScale = 1e-37f;

    public static int RowBytes(int hiddenSize) => checked(hiddenSize + (hiddenSize + Block - 1) / Block * sizeof(float));

    public static void Encode(ReadOnlySpan<float> values, int hiddenSize, Span<byte> payload)
    {
        for (var (value, offset) = (0, 0); value < values.Length;)
        {
            var count = Math.Min(Block, hiddenSize - value % hiddenSize);
            EncodeBlock(values.Slice(value, count), payload.Slice(offset, sizeof(float) + count));
            (value, offset) = (value + count, offset + sizeof(float) + count);
        }
    }

    public static void Decode(ReadOnlySpan<byte> payload, int hiddenSize, Span<float> values)
    {
        for (var (value, offset) = (0, 0); value < values.Length;)
        {
            var count = Math.Min(Block, hiddenSize - value % hiddenSize);
            DecodeBlock(payload.Slice(offset, sizeof(float) + count), values.Slice(value, count));
            (value, offset) = (value + count, offset + sizeof(float) + count);
        }
    }

    static void EncodeBlock(ReadOnlySpan<float> values, Span<byte> block)
    {
        var largest = LargestMagnitude(values);
        var scale = float.IsFinite(largest) ? largest / Largest : float.NaN;
        BinaryPrimitives.WriteSingleLittleEndian(block, scale);
        var quants = MemoryMarshal.Cast<byte, sbyte>(block[sizeof(float)..]);
        var inverse = scale >= SmallestScale ? 1 / scale : 0;
        if (values.Length == Block) EncodeWhole(values, inverse, quants);
        else
            for (var i = 0; i < values.Length; i++)
                quants[i] = (sbyte)Math.Clamp(MathF.Round(values[i] * inverse), -Largest, Largest);
    }

    static void EncodeWhole(ReadOnlySpan<float> values, float inverse, Span<sbyte> quants)
    {
        var first = Vector256.Narrow(Quants(values, inverse), Quants(values[8..], inverse));
        var second = Vector256.Narrow(Quants(values[16..], inverse), Quants(values[24..], inverse));
        Vector256.Narrow(first, second).CopyTo(quants);
    }

    static Vector256<int> Quants(ReadOnlySpan<float> values, float inverse)
    {
        var scaled = Vector256.Round(Vector256.Create(values) * inverse);
        return Vector256.ConvertToInt32(Vector256.Clamp(scaled, Vector256.Create(-Largest), Vector256.Create(Largest)));
    }

    static void DecodeBlock(ReadOnlySpan<byte> block, Span<float> values)
    {
        var scale = BinaryPrimitives.ReadSingleLittleEndian(block);
        var quants = MemoryMarshal.Cast<byte, sbyte>(block[sizeof(float)..]);
        var i = 0;
        for (; i + Vector128<sbyte>.Count <= values.Length; i += Vector128<sbyte>.Count)
        {
            var (low, high) = Vector256.Widen(Vector256.WidenLower(Vector128.Create(quants[i..]).ToVector256()));
            (Vector256.ConvertToSingle(low) * scale).CopyTo(values[i..]);
            (Vector256.ConvertToSingle(high) * scale).CopyTo(values[(i + Vector256<int>.Count)..]);
        }
        for (; i < values.Length; i++)
            values[i] = quants[i] * scale;
    }

    /// <summary>NaN if there is one among them.</summary>
    static float LargestMagnitude(ReadOnlySpan<float> values)
    {
        var largest = 0f;
        var i = 0;
        if (values.Length == Block)
        {
            var lanes = Vector256<float>.Zero;
            for (; i < Block; i += Vector256<float>.Count)
                lanes = Vector256.MaxMagnitude(lanes, Vector256.Create(values[i..]));
            for (var lane = 0; lane < Vector256<float>.Count; lane++)
                largest = MathF.MaxMagnitude(largest, lanes[lane]);
        }
        for (; i < values.Length; i++)
            largest = MathF.MaxMagnitude(largest, values[i]);
        return MathF.Abs(largest);
    }
}
