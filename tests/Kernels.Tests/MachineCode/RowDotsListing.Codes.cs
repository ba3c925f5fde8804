using Iced.Intel;
using LlamaCluster.Kernels.Formats;
using static Iced.Intel.AssemblerRegisters;

namespace LlamaCluster.Kernels.Tests.MachineCode;

/// <summary>How a block's codes come into registers.</summary>
sealed partial class RowDotsListing
{
    // Of types with code books: words with indices, bits that are their ninth ones, entries that were found, and signs.
    readonly AssemblerRegisterZMM _words = zmm18, _otherWords = zmm20, _ninthBits = zmm31, _entries = zmm11, _otherEntries = zmm12, _signs = zmm13;

    /// <summary>Their constants: bits 6 and 7 of an index, and which bits are ninth ones; seven signs to eight, the first half; 1; a factor of d.</summary>
    readonly AssemblerRegisterZMM _bit6 = zmm8, _bit7 = zmm9, _evenSigns = zmm14, _one = zmm26, _factor = zmm19;
    readonly AssemblerRegisterZMM[] _ninth = [zmm10, zmm14, zmm25, zmm15];

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

    /// <param name="levels">The bits of a level in each byte.</param>
    void BookConstants(uint levels)
    {
        Spread(_bit6, 0x0040_0040);
        Spread(_bit7, 0x0080_0080);
        Spread(_bits, levels);
        _c.vmovdqu64(_constant, __zmmword_ptr[r9 + GridTables512.Codes]);
    }

    /// <summary>The entries of a book of 512 that the lower eight bits of words name, and a ninth bit that is set in another word.</summary>
    void FindEntries(AssemblerRegisterZMM found, AssemblerRegisterZMM words, AssemblerRegisterZMM ninthBits, AssemblerRegisterZMM ninth)
    {
        _c.vptestmw(k1, words, _bit6);
        _c.vptestmw(k2, words, _bit7);
        _c.vptestmw(k3, ninthBits, ninth);
        Quarter(found, _t, _sum, 0);
        Quarter(_other, _t, _sum, 4);
        _c.vpblendmw(found.k3, found, _other);

        void Quarter(AssemblerRegisterZMM into, AssemblerRegisterZMM t, AssemblerRegisterZMM u, int first)
        {
            Pair(into, t, first);
            Pair(u, t, first + 2);
            _c.vpblendmw(into.k2, into, u);
        }

        void Pair(AssemblerRegisterZMM into, AssemblerRegisterZMM t, int first)
        {
            Among64(into, first);
            Among64(t, first + 1);
            _c.vpblendmw(into.k1, into, t);
        }

        void Among64(AssemblerRegisterZMM into, int part)
        {
            _c.vmovdqu64(into, __zmmword_ptr[r9 + 2 * Vector * part]);
            _c.vpermt2w(into, words, __zmmword_ptr[r9 + 2 * Vector * part + Vector]);
        }
    }

    /// <summary>Levels of entries with their signs above them, and what a table has for both.</summary>
    void CodesOf(int v, AssemblerRegisterZMM entries, int levels, int signs)
    {
        _c.vmovdqu64(_t, __zmmword_ptr[r9 + GridTables512.LevelShifts + levels * Vector]);
        _c.vpmultishiftqb(_codes[v], _t, entries);
        _c.vmovdqu64(_u, __zmmword_ptr[r9 + GridTables512.SignShifts + signs * Vector]);
        _c.vpmultishiftqb(_u, _u, _signs);
        _c.vpternlogd(_codes[v], _u, _bits, 0b1110_0100);   // by bit of the third: the first or the second
        _c.vpermb(_codes[v], _codes[v], _constant);
    }
}
