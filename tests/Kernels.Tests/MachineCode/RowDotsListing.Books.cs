using Iced.Intel;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Primitives;
using static Iced.Intel.AssemblerRegisters;

namespace LlamaCluster.Kernels.Tests.MachineCode;

/// <summary>Types whose codes come out of code books: as <see cref="GridLanes512"/> finds them.</summary>
sealed partial class RowDotsListing
{
    /// <summary>Words with indices; bits that are their ninth and tenth ones; entries that were found; and signs.</summary>
    readonly AssemblerRegisterZMM _words = zmm18, _otherWords = zmm20, _moreBits = zmm31, _entries = zmm11, _otherEntries = zmm12, _signs = zmm13;

    /// <summary>Constants: bits 6 and 7 of an index, which bits are ninth ones, the first half of a table of eight signs for seven, and 1.</summary>
    readonly AssemblerRegisterZMM _bit6 = zmm8, _bit7 = zmm9, _ninth = zmm10, _evenSigns = zmm14, _one = zmm26;

    void WriteBook(TensorType type)
    {
        Spread(_bit6, 0x0040_0040);
        Spread(_bit7, 0x0080_0080);
        Spread(_bits, type is TensorType.IQ3_XXS or TensorType.IQ3_S ? 0x0707_0707u : 0x0303_0303);
        Spread(_one, 1);
        _c.vmovdqu64(_constant, __zmmword_ptr[r9 + GridTables512.Codes]);
        _c.vmovdqu64(_evenSigns, __zmmword_ptr[r9 + GridTables512.EvenSigns]);
        switch (type)
        {
            case TensorType.IQ2_XXS:
                Loops(Halves, 8, 2 * Vector, () =>
                {
                    SignsOfSevens(Vector);
                    Eights(0, 256);
                    OddScale(Vector);
                }, RowOfBytes, Factor);
                break;
            case TensorType.IQ2_XS:
                Spread(_ninth, 0x0100_0100);
                HalfConstants(offset: 0xffc0_ffc0);
                Loops(Halves, 8, Bytes + 2 * Vector, () =>
                {
                    _c.vmovdqu32(_words, __zmmword_ptr[rdi + Bytes]);
                    _c.vmovdqu32(_otherWords, __zmmword_ptr[rdi + Bytes + Vector]);
                    _c.vpsrlw(_t, _words, 9);
                    _c.vpsrlw(_u, _otherWords, 9);
                    _c.vpsllw(_u, _u, 8);
                    _c.vpord(_u, _u, _t);
                    EvenSigns();
                    foreach (var (words, entries) in new[] { (_words, _entries), (_otherWords, _otherEntries) })
                    {
                        _c.vptestmw(k3, words, _ninth);
                        FindEntries(entries, words, 512);
                    }
                    for (var v = 0; v < 8; v++) CodesOf(v, v < 4 ? _entries : _otherEntries, v % 4, v / 4 * 2 + v % 4 / 2 * 4 + v % 2);
                    HalfScales();
                }, RowOfHalves, Factor);
                break;
            case TensorType.IQ2_S:
                Spread(_ninth, 0x0010_0001);
                HalfConstants(offset: 0xffc0_ffc0);
                Loops(Halves, 8, 2 * Bytes + 2 * Vector, () =>
                {
                    MoreBits();
                    _c.vmovdqu32(_signs, __zmmword_ptr[rdi + 2 * Bytes + Vector]);
                    Eights(2 * Bytes, 1024);
                    HalfScales();
                }, RowOfHalves, Factor);
                break;
            case TensorType.IQ3_XXS:
                Loops(Halves, 8, 3 * Vector, () =>
                {
                    SignsOfSevens(2 * Vector);
                    Fours(0, 256);
                    OddScale(2 * Vector);
                }, RowOfBytes, Factor);
                break;
            case TensorType.IQ3_S:
                Spread(_ninth, 0x0004_0001);
                Spread(_offset, 0xfff1_fff1);
                Loops(Halves, 8, 2 * Bytes + 3 * Vector, () =>
                {
                    MoreBits();
                    _c.vmovdqu32(_signs, __zmmword_ptr[rdi + 2 * Bytes + 2 * Vector]);
                    Fours(2 * Bytes, 512);
                    _c.vpmovzxbd(_scale, __xmmword_ptr[rdi]);
                    _c.vcvtdq2ps(_scale, _scale);
                    _c.vmulps(_scale, _scale, _d);
                }, () =>
                {
                    Dots(start: null);
                    _c.vpaddd(_sum, _sum, _sum);
                    _c.vpbroadcastd(_t, __dword_ptr[rsi + HalfSums]);
                    _c.vpmaddwd(_t, _t, _offset);
                    _c.vpaddd(_sum, _sum, _t);
                    AddScaled(_scale);
                });
                break;
        }
    }

    void Factor() => _c.vmulps(_d, _d, __dword_bcst[r9 + GridTables512.Factor]);

    void RowOfBytes()
    {
        Dots(Minus128Sum);
        AddScaled(_scale);
    }

    void RowOfHalves()
    {
        HalfDots();
        AddScaled(_d);
    }

    /// <summary>d (2 s + 1), s in the upper four bits of a word.</summary>
    void OddScale(int offset)
    {
        _c.vpsrld(_scale, __zmmword_ptr[rdi + offset], 28);
        _c.vpaddd(_scale, _scale, _scale);
        _c.vpord(_scale, _scale, _one);
        _c.vcvtdq2ps(_scale, _scale);
        _c.vmulps(_scale, _scale, _d);
    }

    /// <summary>2 s + 1 of both halves, each s of four bits of a byte.</summary>
    void HalfScales()
    {
        _c.vpmovzxbd(_firstScale, __xmmword_ptr[rdi]);
        _c.vpsrld(_secondScale, _firstScale, 4);
        _c.vpaddd(_secondScale, _secondScale, _secondScale);
        _c.vpord(_secondScale, _secondScale, _one);
        _c.vpslld(_firstScale, _firstScale, 28);
        _c.vpsrld(_firstScale, _firstScale, 27);
        _c.vpord(_firstScale, _firstScale, _one);
        HalfOffsets();
    }

    /// <summary>Upper bits of indices, a byte for each row, in both words of its lane.</summary>
    void MoreBits()
    {
        _c.vpmovzxbd(_moreBits, __xmmword_ptr[rdi + Bytes]);
        _c.vpslld(_t, _moreBits, 16);
        _c.vpord(_moreBits, _moreBits, _t);
    }

    void SignsOfSevens(int offset)
    {
        _c.vmovdqu64(_t, __zmmword_ptr[r9 + GridTables512.SevenBitShifts]);
        _c.vpmultishiftqb(_u, _t, __zmmword_ptr[rdi + offset]);
        EvenSigns();
    }

    void EvenSigns()
    {
        _c.vmovdqa64(_signs, _evenSigns);
        _c.vpermt2b(_signs, _u, __zmmword_ptr[r9 + GridTables512.EvenSigns + Vector]);
    }

    /// <summary>Codes out of entries of eight columns, of which a word has four indices.</summary>
    void Eights(int offset, int entries)
    {
        _c.vmovdqu32(_words, __zmmword_ptr[rdi + offset]);
        NextIndex(_entries, entries, ninth: 0);
        _c.vpsrlw(_words, _words, 8);
        NextIndex(_otherEntries, entries, ninth: 2);
        for (var v = 0; v < 8; v++) CodesOf(v, v % 4 < 2 ? _entries : _otherEntries, v / 4 * 2 + v % 2, v);
    }

    /// <summary>Codes out of entries of four columns, of which two words have eight indices.</summary>
    void Fours(int offset, int entries)
    {
        for (var v = 0; v < 8; v += 4)
        {
            _c.vmovdqu32(_words, __zmmword_ptr[rdi + offset + v / 4 * Vector]);
            NextIndex(_entries, entries, ninth: v);
            _c.vpsrlw(_words, _words, 8);
            NextIndex(_otherEntries, entries, ninth: v + 1);
            for (var i = 0; i < 4; i++) CodesOf(v + i, i % 2 == 0 ? _entries : _otherEntries, i / 2, v + i);
        }
    }

    /// <param name="ninth">How much further up the ninth bits are than those of the first index.</param>
    void NextIndex(AssemblerRegisterZMM found, int entries, int ninth)
    {
        if (entries > 256) MaskOf(k3, (byte)ninth);
        if (entries > 512) MaskOf(k4, (byte)(ninth + 1));
        FindEntries(found, _words, entries);

        void MaskOf(AssemblerRegisterK mask, byte shift)
        {
            if (shift > 0) _c.vpsrlw(_t, _moreBits, shift);
            _c.vptestmw(mask, shift > 0 ? _t : _moreBits, _ninth);
        }
    }

    /// <summary>The entries that the lower eight bits of words name, with ninth bits in k3 and tenth ones in k4 where a book has that many.</summary>
    void FindEntries(AssemblerRegisterZMM found, AssemblerRegisterZMM words, int entries)
    {
        _c.vptestmw(k1, words, _bit6);
        _c.vptestmw(k2, words, _bit7);
        if (entries == 256) Among256(found, 0);
        else Among512(found, 0);
        if (entries < 1024) return;
        Among512(_otherWords, 8);
        _c.vpblendmw(found.k4, found, _otherWords);

        void Among512(AssemblerRegisterZMM into, int first)
        {
            Among256(into, first);
            Among256(_other, first + 4);
            _c.vpblendmw(into.k3, into, _other);
        }

        void Among256(AssemblerRegisterZMM into, int first)
        {
            Among128(into, first);
            Among128(_sum, first + 2);
            _c.vpblendmw(into.k2, into, _sum);
        }

        void Among128(AssemblerRegisterZMM into, int first)
        {
            Among64(into, first);
            Among64(_t, first + 1);
            _c.vpblendmw(into.k1, into, _t);
        }

        void Among64(AssemblerRegisterZMM into, int part)
        {
            _c.vmovdqu64(into, __zmmword_ptr[r9 + GridTables512.Book + 2 * Vector * part]);
            _c.vpermt2w(into, words, __zmmword_ptr[r9 + GridTables512.Book + 2 * Vector * part + Vector]);
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
