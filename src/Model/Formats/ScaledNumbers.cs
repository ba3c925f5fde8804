using System.Numerics;
using System.Runtime.InteropServices;

namespace LlamaCluster.Model.Formats;

/// <summary>How the number of a <see cref="ScaledMatrix"/> is stored.</summary>
enum ScaledNumber
{
    /// <summary>float8_e4m3fn: a sign, 4 bits of exponent (bias 7), 3 of mantissa; no infinities, and NaN where all bits but the sign are set.</summary>
    Float8,

    /// <summary>A signed byte.</summary>
    Int8,

    /// <summary>8 bits, the number and 128.</summary>
    Offset8,

    /// <summary>4 bits, the number and 8; the first of two in the low half of a byte.</summary>
    Offset4,
}

/// <summary>Rows of numbers of few bits to floats, exactly, vector by vector.</summary>
static class ScaledNumbers
{
    /// <summary>The magnitude of a float8 that is none.</summary>
    const byte NoFloat8 = 0x7f;

    /// <param name="stored">The bytes that the numbers are in.</param>
    /// <param name="isOdd">The first number is in the high half of its byte; of 4 bits only.</param>
    public static void Decode(ScaledNumber number, ReadOnlySpan<byte> stored, bool isOdd, Span<float> numbers)
    {
        switch (number)
        {
            case ScaledNumber.Float8: DecodeFloat8(stored, numbers); break;
            case ScaledNumber.Int8: DecodeInt8(stored, flipped: 0, numbers); break;
            // The number without its offset is the signed byte that has the highest bit the other way round.
            case ScaledNumber.Offset8: DecodeInt8(stored, flipped: 0x80, numbers); break;
            case ScaledNumber.Offset4: DecodeOffset4(stored, isOdd, numbers); break;
            default: throw new InvalidOperationException($"no numbers of {number}");
        }
    }

    static void DecodeFloat8(ReadOnlySpan<byte> stored, Span<float> numbers)
    {
        var i = 0;
        for (; i + Vector<byte>.Count <= numbers.Length; i += Vector<byte>.Count)
        {
            Vector.Widen(new Vector<byte>(stored[i..]), out var lower, out var upper);
            Vector.Widen(lower, out var first, out var second);
            Vector.Widen(upper, out var third, out var fourth);
            Store(Float8(first), Float8(second), Float8(third), Float8(fourth), numbers[i..]);
        }
        for (; i < numbers.Length; i++) numbers[i] = Float8(new Vector<uint>(stored[i]))[0];
    }

    /// <summary>Exponent and mantissa in the places of an f32 are the number times 2^-120, subnormal or not.</summary>
    static Vector<float> Float8(Vector<uint> bits)
    {
        const float scale = 1.329227995784916e36f;   // 2^120
        var magnitude = bits & new Vector<uint>(0x7f);
        var number = Vector.AsVectorUInt32(Vector.AsVectorSingle(magnitude << 20) * scale);
        var none = Vector.Equals(magnitude, new Vector<uint>(NoFloat8));
        return Vector.AsVectorSingle(number | none | ((bits & new Vector<uint>(0x80)) << 24));
    }

    static void DecodeInt8(ReadOnlySpan<byte> stored, byte flipped, Span<float> numbers)
    {
        var i = 0;
        for (; i + Vector<byte>.Count <= numbers.Length; i += Vector<byte>.Count)
        {
            Vector.Widen(Vector.AsVectorSByte(new Vector<byte>(stored[i..]) ^ new Vector<byte>(flipped)), out var lower, out var upper);
            Vector.Widen(lower, out var first, out var second);
            Vector.Widen(upper, out var third, out var fourth);
            Store(Vector.ConvertToSingle(first), Vector.ConvertToSingle(second), Vector.ConvertToSingle(third), Vector.ConvertToSingle(fourth), numbers[i..]);
        }
        for (; i < numbers.Length; i++) numbers[i] = (sbyte)(stored[i] ^ flipped);
    }

    /// <summary>Each byte has two neighbours, which the halves of an integer of 64 bits take to be stored at once.</summary>
    static void DecodeOffset4(ReadOnlySpan<byte> stored, bool isOdd, Span<float> numbers)
    {
        if (isOdd)
        {
            numbers[0] = (stored[0] >> 4) - 8;
            stored = stored[1..];
            numbers = numbers[1..];
        }
        var pairs = MemoryMarshal.Cast<float, long>(numbers);
        for (var i = 0; i < pairs.Length; i++) pairs[i] = Pairs[stored[i]];
        if (numbers.Length % 2 != 0) numbers[^1] = (stored[numbers.Length / 2] & 15) - 8;
    }

    /// <summary>By byte: the two numbers in it.</summary>
    static readonly long[] Pairs =
    [
        .. Enumerable.Range(0, 256).Select(bits =>
            (long)BitConverter.SingleToUInt32Bits((bits & 15) - 8) | ((long)BitConverter.SingleToUInt32Bits((bits >> 4) - 8) << 32)),
    ];

    static void Store(Vector<float> first, Vector<float> second, Vector<float> third, Vector<float> fourth, Span<float> numbers)
    {
        first.CopyTo(numbers);
        second.CopyTo(numbers[Vector<float>.Count..]);
        third.CopyTo(numbers[(2 * Vector<float>.Count)..]);
        fourth.CopyTo(numbers[(3 * Vector<float>.Count)..]);
    }
}
