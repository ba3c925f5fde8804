using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LlamaCluster.Kernels.Tests.MachineCode;

/// <summary>How codes that are in registers meet a block of activations.</summary>
sealed partial class RowDotsListing
{
    // In an ActivationBlock, of which each fills a line of the cache.
    const int Scale = 32, ScaledSum = 36, Minus8ScaledSum = 40, Minus128Sum = 48, HalfSums = 52, BlockBytes = 64;

    /// <param name="offset">What codes of either half stand for less, as a pair of 16 bits.</param>
    void HalfConstants(uint offset)
    {
        Spread(_lower, 0x0000_ffff);
        Spread(_offset, offset);
    }

    void HalfOffsets()
    {
        _c.vpslld(_offsets, _secondScale, 16);
        _c.vpandd(_t, _firstScale, _lower);
        _c.vpord(_offsets, _offsets, _t);
        _c.vpmullw(_offsets, _offsets, _offset);
    }

    /// <summary>The sum over all columns, in two chains.</summary>
    /// <param name="start">What it begins with, of the activations' block.</param>
    void Dots(int? start)
    {
        _c.vpxord(_other, _other, _other);
        if (start is { } place) _c.vpbroadcastd(_sum, __dword_ptr[rsi + place]);
        else _c.vpxord(_sum, _sum, _sum);
        for (var v = 0; v < 4; v++)
        {
            _c.vpdpbusd(_sum, _codes[v], __dword_bcst[rsi + 4 * v]);
            _c.vpdpbusd(_other, _codes[v + 4], __dword_bcst[rsi + 4 * (v + 4)]);
        }
        _c.vpaddd(_sum, _sum, _other);
    }

    /// <summary>s of each half times its sum, and their offsets' part.</summary>
    void HalfDots()
    {
        _c.vpxord(_sum, _sum, _sum);
        _c.vpxord(_other, _other, _other);
        _c.vpbroadcastd(_t, __dword_ptr[rsi + HalfSums]);
        _c.vpmaddwd(_t, _t, _offsets);
        for (var v = 0; v < 4; v++)
        {
            _c.vpdpbusd(_sum, _codes[v], __dword_bcst[rsi + 4 * v]);
            _c.vpdpbusd(_other, _codes[v + 4], __dword_bcst[rsi + 4 * (v + 4)]);
        }
        _c.vpmulld(_sum, _sum, _firstScale);
        _c.vpmulld(_other, _other, _secondScale);
        _c.vpaddd(_sum, _sum, _t);
        _c.vpaddd(_sum, _sum, _other);
    }

    /// <summary>total = fma(sum a, scale, total).</summary>
    void AddScaled(AssemblerRegisterZMM scale)
    {
        _c.vcvtdq2ps(_sum, _sum);
        _c.vmulps(_sum, _sum, __dword_bcst[rsi + Scale]);
        _c.vfmadd231ps(_total, _sum, scale);
    }
}
