using System.Numerics;
using System.Runtime.InteropServices;

namespace LlamaCluster.Cluster.Activations;

/// <summary>bfloat16: the upper half of an f32, rounded to nearest even; infinities stay, a NaN stays a (quiet) NaN.</summary>
static class Bf16Rows
{
    const uint HalfUnit = 0x7FFF;
    const uint Magnitude = 0x7FFF_FFFF;
    const uint Infinity = 0x7F80_0000;
    const uint QuietBit = 0x40;

    public static void Encode(ReadOnlySpan<float> values, Span<ushort> encoded)
    {
        var bits = MemoryMarshal.Cast<float, uint>(values);
        var i = 0;
        for (; i + Vector<ushort>.Count <= bits.Length; i += Vector<ushort>.Count)
        {
            var low = Round(new Vector<uint>(bits[i..]));
            var high = Round(new Vector<uint>(bits[(i + Vector<uint>.Count)..]));
            Vector.Narrow(low, high).CopyTo(encoded[i..]);
        }
        for (; i < bits.Length; i++)
            encoded[i] = Round(bits[i]);
    }

    public static void Decode(ReadOnlySpan<ushort> encoded, Span<float> values)
    {
        var bits = MemoryMarshal.Cast<float, uint>(values);
        var i = 0;
        for (; i + Vector<ushort>.Count <= bits.Length; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(encoded[i..]), out var low, out var high);
            (low << 16).CopyTo(bits[i..]);
            (high << 16).CopyTo(bits[(i + Vector<uint>.Count)..]);
        }
        for (; i < bits.Length; i++)
            bits[i] = (uint)encoded[i] << 16;
    }

    static Vector<uint> Round(Vector<uint> bits)
    {
        var upper = bits >> 16;
        var rounded = (bits + new Vector<uint>(HalfUnit) + (upper & Vector<uint>.One)) >> 16;
        var isNaN = Vector.GreaterThan(bits & new Vector<uint>(Magnitude), new Vector<uint>(Infinity));
        return Vector.ConditionalSelect(isNaN, upper | new Vector<uint>(QuietBit), rounded);
    }

    static ushort Round(uint bits)
    {
        var upper = bits >> 16;
        return (ushort)((bits & Magnitude) > Infinity ? upper | QuietBit : (bits + HalfUnit + (upper & 1)) >> 16);
    }
}
