using System.Buffers.Binary;
using System.Runtime.InteropServices;
using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.RandomNumbers;

/// <summary>
/// Some random blocks of a type, with scales that give them variance 1 / columns, from which rows are cut at random places.
/// </summary>
sealed class RandomPattern
{
    const int Elements = 1 << 16;

    readonly byte[] _blocks;
    readonly int _blockBytes;

    public RandomPattern(TensorType type, long columns, ulong seed)
    {
        _blockBytes = type.BlockBytes();
        _blocks = new byte[Elements / type.BlockSize() * _blockBytes];
        var deviation = 1 / Math.Sqrt(columns);
        if (type.BlockSize() == 1) FillFloats(type, deviation, seed);
        else FillBlocks(type, deviation, seed);
    }

    /// <summary>
    /// Fills a row, or its part after <paramref name="bytesBefore"/>, with whole blocks from a place that <paramref name="random"/> decides on.
    /// </summary>
    public void CopyRow(ulong random, long bytesBefore, Span<byte> row)
    {
        var start = (int)(((long)(random % (ulong)(_blocks.Length / _blockBytes)) * _blockBytes + bytesBefore) % _blocks.Length);
        while (!row.IsEmpty)
        {
            var count = Math.Min(row.Length, _blocks.Length - start);
            _blocks.AsSpan(start, count).CopyTo(row);
            row = row[count..];
            start = 0;
        }
    }

    void FillFloats(TensorType type, double deviation, ulong seed)
    {
        var random = new RandomSequence(seed);
        var values = new float[Elements];
        // Even spread over [-w, w) has variance w^2 / 3.
        var width = (float)(deviation * Math.Sqrt(3));
        foreach (ref var value in values.AsSpan()) value = width * random.NextSigned();
        RowEncoder.Encode(type, values, _blocks);
    }

    void FillBlocks(TensorType type, double deviation, ulong seed)
    {
        FillRandom(type, seed);
        SetScales(type, 1);
        SetScales(type, deviation / StandardDeviation(type));
    }

    void FillRandom(TensorType type, ulong seed)
    {
        var random = new RandomSequence(seed);
        foreach (ref var word in MemoryMarshal.Cast<byte, ulong>(_blocks.AsSpan())) word = random.Next();
        if (type is not (TensorType.TQ2_0 or TensorType.Q2_0)) return;

        // A code of 3 stands for twice d, which would move the mean: it becomes 1, which is zero.
        foreach (ref var codes in _blocks.AsSpan()) codes &= (byte)~((codes & 0x55) << 1);
    }

    void SetScales(TensorType type, double scale)
    {
        if (type is TensorType.MXFP4 or TensorType.NVFP4 or TensorType.IQ1_M)
        {
            SetScalesOfBits(type, scale);
            return;
        }
        var (scaleAt, minAt, minPerScale) = ScalesOf(type);
        for (var block = _blocks.AsSpan(); !block.IsEmpty; block = block[_blockBytes..])
        {
            BinaryPrimitives.WriteHalfLittleEndian(block[scaleAt..], (Half)scale);
            if (minAt is { } at) BinaryPrimitives.WriteHalfLittleEndian(block[at..], (Half)(scale * minPerScale));
        }
    }

    /// <summary>Scales that are not halves in one place: the nearest that the type has.</summary>
    void SetScalesOfBits(TensorType type, double scale)
    {
        var half = BitConverter.HalfToUInt16Bits((Half)scale);
        for (var block = _blocks.AsSpan(); !block.IsEmpty; block = block[_blockBytes..])
        {
            if (type == TensorType.MXFP4) block[0] = (byte)(PowerNear(scale, _blocks.Length - block.Length) + 128);
            else if (type == TensorType.NVFP4) block[..4].Fill(NearestUE4M3(2 * scale));
            else
                for (var i = 0; i < 4; i++) block[49 + 2 * i] = (byte)(block[49 + 2 * i] & 15 | (half >> (4 * i) & 15) << 4);
        }
    }

    /// <summary>The exponent of the power of two below a scale or of the one above, as often each as gives the scale's mean square.</summary>
    static int PowerNear(double scale, int place)
    {
        const double GoldenRatio = 0.6180339887498949;
        var below = Math.Floor(Math.Log2(scale));
        var above = (Math.Pow(scale / Math.Pow(2, below), 2) - 1) / 3;
        return (int)below + (place * GoldenRatio % 1 < above ? 1 : 0);
    }

    /// <summary>Four bits of exponent (bias 7) and three of fraction.</summary>
    static byte NearestUE4M3(double value)
    {
        var exponent = (int)Math.Clamp(Math.Floor(Math.Log2(value)), -6, 8);
        return (byte)Math.Clamp(Math.Round(Math.ScaleB(value, 3 - exponent)) + (exponent + 6) * 8, 0, 126);
    }

    /// <summary>Where a block has its scale and, if it has one, its minimum, and the minimum that makes the mean 0 for random bits.</summary>
    static (int ScaleAt, int? MinAt, double MinPerScale) ScalesOf(TensorType type) => type switch
    {
        TensorType.Q4_0 or TensorType.Q5_0 or TensorType.Q8_0 => (0, null, 0),
        TensorType.Q1_0 or TensorType.Q2_0 or TensorType.IQ4_NL or TensorType.IQ4_XS or TensorType.IQ3_S or TensorType.IQ3_XXS
            or TensorType.IQ2_S or TensorType.IQ2_XS or TensorType.IQ2_XXS or TensorType.IQ1_S => (0, null, 0),
        TensorType.TQ1_0 => (52, null, 0),
        TensorType.TQ2_0 => (64, null, 0),
        TensorType.Q4_1 => (0, 2, -7.5),
        TensorType.Q5_1 => (0, 2, -15.5),
        TensorType.Q2_K => (80, 82, 1.5),
        TensorType.Q3_K => (108, null, 0),
        TensorType.Q4_K => (0, 2, 7.5),
        TensorType.Q5_K => (0, 2, 15.5),
        TensorType.Q6_K => (208, null, 0),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a type of blocks"),
    };

    double StandardDeviation(TensorType type)
    {
        var values = new float[Elements];
        RowDecoder.Decode(type, _blocks, values);
        return Math.Sqrt(values.Sum(v => (double)v * v) / values.Length);
    }
}

/// <summary>Random numbers that are the same on every machine and runtime (SplitMix64, https://prng.di.unimi.it/splitmix64.c).</summary>
public sealed class RandomSequence(ulong seed)
{
    const ulong Step = 0x9e3779b97f4a7c15;

    ulong _state = seed;

    public ulong Next() => Mix(_state += Step);

    /// <summary>From 0 to <paramref name="limit"/> - 1.</summary>
    public int Next(int limit) => (int)(Next() % (ulong)limit);

    /// <summary>Evenly spread in [-1, 1).</summary>
    public float NextSigned() => (int)(Next() >> 40) / (float)(1 << 23) - 1;

    /// <summary>Spreads the bits of a number over all 64.</summary>
    public static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
}
