using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LlamaCluster.Kernels.Tests.MachineCode;

/// <summary>How a block's codes come into registers.</summary>
sealed partial class RowDotsListing
{
    /// <summary>A plane of four bits.</summary>
    void Nibbles(int offset)
    {
        for (var v = 0; v < 4; v++)
        {
            _c.vmovdqu32(_t, __zmmword_ptr[rdi + offset + v * Vector]);
            _c.vpandd(_codes[v], _t, _nibble);
            _c.vpsrld(_t, _t, 4);
            _c.vpandd(_codes[v + 4], _t, _nibble);
        }
    }

    /// <summary>A plane of one bit: that of vector v is bit v of each byte, and becomes bit 4.</summary>
    void FifthBits(int offset)
    {
        _c.vmovdqu32(_u, __zmmword_ptr[rdi + offset]);
        for (var v = 0; v < 8; v++)
        {
            if (v < 4) _c.vpslld(_t, _u, (byte)(4 - v));
            else if (v > 4) _c.vpsrld(_t, _u, (byte)(v - 4));
            else _c.vmovdqa32(_t, _u);
            _c.vpandd(_t, _t, _bits);
            _c.vpord(_codes[v], _codes[v], _t);
        }
    }

    /// <summary>A plane of two bits, four vectors of codes in each of its own: they become bits 4 and 5.</summary>
    void UpperTwoBits(int offset)
    {
        for (var v = 0; v < 8; v++)
        {
            if (v % 4 == 0) _c.vmovdqu32(_u, __zmmword_ptr[rdi + offset + v / 4 * Vector]);
            var shift = 2 * (v % 4) - 4;
            if (shift < 0) _c.vpslld(_t, _u, (byte)-shift);
            else if (shift > 0) _c.vpsrld(_t, _u, (byte)shift);
            else _c.vmovdqa32(_t, _u);
            _c.vpandd(_t, _t, _bits);
            _c.vpord(_codes[v], _codes[v], _t);
        }
    }
}
