using Iced.Intel;
using LlamaCluster.Kernels.MachineCode;
using LlamaCluster.Primitives;
using static Iced.Intel.AssemblerRegisters;

namespace LlamaCluster.Kernels.Tests.MachineCode;

/// <summary>
/// What the machine code of <see cref="RowDots"/> is assembled from. It keeps to the calling convention of Linux on x64: rdi has a group of weights, rsi
/// activations, rdx the totals, rcx the number of headers, which is at least 1, and r8 that of rows; all other registers that it uses are the callee's.
/// </summary>
/// <param name="manyRows">Codes that are unpacked meet as many rows as there are; else one, whose totals stay in a register.</param>
sealed class RowDotsListing(bool manyRows)
{
    // In an ActivationBlock, of which each fills a line of the cache.
    const int Scale = 32, ScaledSum = 36, Minus8ScaledSum = 40, Minus128Sum = 48, HalfSums = 52, BlockBytes = 64;

    /// <summary>Half-precision numbers of 16 rows, bytes of 16 rows, and a vector of a plane of codes.</summary>
    const int Halves = 32, Bytes = 16, Vector = 64;

    const int Line = 64;

    /// <summary>How far ahead a page is asked for, by always the same line: see PagesAhead.</summary>
    const int Far = 16384, PageBytes = 4096;

    readonly Assembler _c = new(64);
    readonly AssemblerRegisterZMM[] _codes = [zmm0, zmm1, zmm2, zmm3, zmm4, zmm5, zmm6, zmm7];
    readonly AssemblerRegisterZMM _total = zmm16, _sum = zmm21, _other = zmm22, _t = zmm23, _u = zmm24;
    readonly AssemblerRegisterZMM _d = zmm17, _m = zmm18, _scale = zmm19, _min = zmm20;

    /// <summary>Integer scales of a block's first half and of its second, and what their sums of activations are multiplied by, as pairs of 16 bits.</summary>
    readonly AssemblerRegisterZMM _firstScale = zmm25, _secondScale = zmm31, _offsets = zmm15;

    /// <summary>Constants: the lower half of a byte, further bits of codes, a table or a factor, the lower half of 32 bits, the offset of codes twice.</summary>
    readonly AssemblerRegisterZMM _nibble = zmm26, _bits = zmm27, _constant = zmm28, _lower = zmm29, _offset = zmm30;

    public static byte[] Assemble(TensorType type, bool manyRows)
    {
        var listing = new RowDotsListing(manyRows);
        listing.Write(type);
        using var bytes = new MemoryStream();
        listing._c.Assemble(new StreamCodeWriter(bytes), rip: 0);
        return bytes.ToArray();
    }

    void Write(TensorType type)
    {
        var table = _c.CreateLabel();
        Spread(_nibble, 0x0f0f_0f0f);
        switch (type)
        {
            case TensorType.Q4_0:
                Loops(Halves, 1, 4 * Vector, () => Nibbles(0), () =>
                {
                    Dots(start: null);
                    _c.vcvtdq2ps(_sum, _sum);
                    _c.vbroadcastss(_t, __dword_ptr[rsi + Scale]);
                    _c.vfmadd213ps(_sum, _t, __dword_bcst[rsi + Minus8ScaledSum]);
                    _c.vfmadd231ps(_total, _sum, _d);
                });
                break;
            case TensorType.Q8_0:
                Loops(Halves, 1, 8 * Vector, () =>
                {
                    for (var v = 0; v < _codes.Length; v++) _c.vmovdqu32(_codes[v], __zmmword_ptr[rdi + v * Vector]);
                }, () =>
                {
                    Dots(Minus128Sum);
                    AddScaled(_d);
                });
                break;
            case TensorType.IQ4_XS:
                _c.vbroadcasti32x4(_constant, __xmmword_ptr[table]);
                Loops(Halves, 8, Bytes + 4 * Vector, () =>
                {
                    Nibbles(Bytes);
                    foreach (var codes in _codes) _c.vpshufb(codes, _constant, codes);
                    _c.vpmovsxbd(_scale, __xmmword_ptr[rdi]);
                    _c.vcvtdq2ps(_scale, _scale);
                    _c.vmulps(_scale, _scale, _d);
                }, () =>
                {
                    Dots(Minus128Sum);
                    AddScaled(_scale);
                });
                break;
            case TensorType.Q4_K:
            case TensorType.Q5_K:
                Spread(_constant, BitConverter.SingleToUInt32Bits(-1));
                if (type is TensorType.Q5_K) Spread(_bits, 0x1010_1010);
                Loops(2 * Halves, 8, 2 * Bytes + (type is TensorType.Q5_K ? 5 : 4) * Vector, () =>
                {
                    Nibbles(2 * Bytes);
                    if (type is TensorType.Q5_K) FifthBits(2 * Bytes + 4 * Vector);
                    _c.vpmovzxbd(_scale, __xmmword_ptr[rdi]);
                    _c.vcvtdq2ps(_scale, _scale);
                    _c.vmulps(_scale, _scale, _d);
                    _c.vpmovzxbd(_min, __xmmword_ptr[rdi + Bytes]);
                    _c.vcvtdq2ps(_min, _min);
                    _c.vmulps(_min, _min, _m);
                }, () =>
                {
                    Dots(start: null);
                    AddScaled(_scale);
                    _c.vfmadd231ps(_total, _min, __dword_bcst[rsi + ScaledSum]);
                });
                break;
            case TensorType.Q6_K:
                Spread(_bits, 0x3030_3030);
                Spread(_lower, 0x0000_ffff);
                Spread(_offset, 0xffe0_ffe0);
                Loops(Halves, 8, 2 * Bytes + 6 * Vector, () =>
                {
                    Nibbles(2 * Bytes);
                    UpperTwoBits(2 * Bytes + 4 * Vector);
                    _c.vpmovsxbd(_firstScale, __xmmword_ptr[rdi]);
                    _c.vpmovsxbd(_secondScale, __xmmword_ptr[rdi + Bytes]);
                    _c.vpslld(_offsets, _secondScale, 16);
                    _c.vpandd(_t, _firstScale, _lower);
                    _c.vpord(_offsets, _offsets, _t);
                    _c.vpmullw(_offsets, _offsets, _offset);
                }, () =>
                {
                    HalfDots();
                    AddScaled(_d);
                });
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "not listed");
        }
        if (!manyRows) _c.vmovups(__zmmword_ptr[rdx], _total);
        _c.vzeroupper();
        _c.ret();
        if (type is not TensorType.IQ4_XS) return;
        _c.Label(ref table);
        _c.db([1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241]);
    }

    /// <summary>Loads d, and m of a header that has both, and does all blocks of a header, of all headers.</summary>
    /// <param name="unpack">What is done once with a block of weights.</param>
    /// <param name="row">What is done with each row of activations that meets it.</param>
    void Loops(int headerBytes, int blocks, int blockBytes, Action unpack, Action row)
    {
        var (nextHeader, nextBlock, nextRow) = (_c.CreateLabel(), _c.CreateLabel(), _c.CreateLabel());
        if (!manyRows) _c.vpxord(_total, _total, _total);
        _c.Label(ref nextHeader);
        _c.vcvtph2ps(_d, __ymmword_ptr[rdi]);
        if (headerBytes > Halves)
        {
            _c.vcvtph2ps(_m, __ymmword_ptr[rdi + Halves]);
            _c.vmulps(_m, _m, _constant);
        }
        _c.add(rdi, headerBytes);
        if (blocks > 1)
        {
            _c.mov(r9d, blocks);
            _c.Label(ref nextBlock);
        }
        AskAhead(blocks > 1 ? blockBytes : headerBytes + blockBytes, sharedHeader: blocks > 1);
        unpack();
        if (manyRows)
        {
            _c.mov(r10, r8);
            _c.mov(r11, rdx);
            _c.Label(ref nextRow);
            _c.vmovups(_total, __zmmword_ptr[r11]);
        }
        row();
        _c.add(rsi, BlockBytes);
        if (manyRows)
        {
            _c.vmovups(__zmmword_ptr[r11], _total);
            _c.add(r11, Vector);
            _c.dec(r10);
            _c.jne(nextRow);
        }
        _c.add(rdi, blockBytes);
        if (blocks > 1)
        {
            _c.dec(r9d);
            _c.jne(nextBlock);
        }
        _c.dec(rcx);
        _c.jne(nextHeader);
    }

    /// <summary>
    /// Asks for weights a block at a time: without it a processor that has many rows to compute does not look far enough ahead. One row of blocks that have
    /// a header each was read more slowly with it.
    /// </summary>
    void AskAhead(int bytes, bool sharedHeader)
    {
        var ahead = manyRows ? 2048 : 8192;
        for (var i = 0; i < bytes && (manyRows || sharedHeader); i += Line) _c.prefetcht0(__byte_ptr[rdi + ahead + i]);
        _c.lea(rax, __[rdi + Far]);
        _c.and(rax, -PageBytes);
        _c.prefetcht1(__byte_ptr[rax]);
    }

    void Spread(AssemblerRegisterZMM register, uint value)
    {
        _c.mov(eax, value);
        _c.vpbroadcastd(register, eax);
    }

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
