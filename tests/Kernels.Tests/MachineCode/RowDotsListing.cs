using Iced.Intel;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.MachineCode;
using LlamaCluster.Primitives;
using static Iced.Intel.AssemblerRegisters;

namespace LlamaCluster.Kernels.Tests.MachineCode;

/// <summary>
/// What the machine code of <see cref="RowDots"/> is assembled from. It keeps to the calling convention of Linux on x64: rdi has a group of weights, rsi
/// activations, rdx the totals, rcx the number of headers, which is at least 1, r8 that of rows, and r9 the tables of a type with code books
/// (<see cref="GridTables512"/>); all other registers that it uses are the callee's.
/// </summary>
/// <param name="manyRows">Codes that are unpacked meet as many rows as there are; else one, whose totals stay in a register.</param>
sealed partial class RowDotsListing(bool manyRows)
{
    /// <summary>Half-precision numbers of 16 rows, bytes of 16 rows, and a vector of a plane of codes.</summary>
    const int Halves = 32, Bytes = 16, Vector = 64;

    const int Line = 64;

    /// <summary>How far ahead a block is asked for.</summary>
    const int Near = 2048;

    /// <summary>How far ahead a page is asked for, by always the same line: see PagesAhead.</summary>
    const int Far = 16384, PageBytes = 4096;

    readonly Assembler _c = new(64);
    readonly AssemblerRegisterZMM[] _codes = [zmm0, zmm1, zmm2, zmm3, zmm4, zmm5, zmm6, zmm7];
    readonly AssemblerRegisterZMM _total = zmm16, _sum = zmm21, _other = zmm22, _t = zmm23, _u = zmm24;
    readonly AssemblerRegisterZMM _d = zmm17, _m = zmm18, _scale = zmm19, _min = zmm20;

    /// <summary>Integer scales of a block's first half and of its second, and what their sums of activations are multiplied by, as pairs of 16 bits.</summary>
    readonly AssemblerRegisterZMM _firstScale = zmm25, _secondScale = zmm31, _offsets = zmm15;

    /// <summary>Constants: the lower half of a byte, bits of codes, a table or a factor, the lower half of 32 bits, the offset of codes twice.</summary>
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
        if (manyRows)
        {
            _c.shl(r8, 6);
            _c.add(r8, rdx);   // where the totals end
        }
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
                HalfConstants(offset: 0xffe0_ffe0);
                Loops(Halves, 8, 2 * Bytes + 6 * Vector, () =>
                {
                    Nibbles(2 * Bytes);
                    UpperTwoBits(2 * Bytes + 4 * Vector);
                    _c.vpmovsxbd(_firstScale, __xmmword_ptr[rdi]);
                    _c.vpmovsxbd(_secondScale, __xmmword_ptr[rdi + Bytes]);
                    HalfOffsets();
                }, () =>
                {
                    HalfDots();
                    AddScaled(_d);
                });
                break;
            case TensorType.IQ2_XXS:
            case TensorType.IQ2_XS:
            case TensorType.IQ2_S:
            case TensorType.IQ3_XXS:
            case TensorType.IQ3_S:
                WriteBook(type);
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
    /// <param name="header">What is done once with a header.</param>
    void Loops(int headerBytes, int blocks, int blockBytes, Action unpack, Action row, Action? header = null)
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
        header?.Invoke();
        _c.add(rdi, headerBytes);
        if (blocks > 1)
        {
            _c.mov(r10d, blocks);
            _c.Label(ref nextBlock);
        }
        AskAhead(blocks > 1 ? blockBytes : headerBytes + blockBytes);
        unpack();
        if (manyRows)
        {
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
            _c.cmp(r11, r8);
            _c.jne(nextRow);
        }
        _c.add(rdi, blockBytes);
        if (blocks > 1)
        {
            _c.dec(r10d);
            _c.jne(nextBlock);
        }
        _c.dec(rcx);
        _c.jne(nextHeader);
    }

    /// <summary>
    /// Asks for the page of weights that comes later, and for many rows for a block that comes soon: a processor that has them to compute does not look far
    /// enough ahead. With one row it does, and asking takes the place of reading: K types were read a fifth more slowly so.
    /// </summary>
    void AskAhead(int bytes)
    {
        for (var i = 0; i < bytes && manyRows; i += Line) _c.prefetcht0(__byte_ptr[rdi + Near + i]);
        _c.lea(rax, __[rdi + Far]);
        _c.and(rax, -PageBytes);
        _c.prefetcht1(__byte_ptr[rax]);
    }

    void Spread(AssemblerRegisterZMM register, uint value)
    {
        _c.mov(eax, value);
        _c.vpbroadcastd(register, eax);
    }
}
