using Iced.Intel;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.MachineCode;
using static Iced.Intel.AssemblerRegisters;

namespace LlamaCluster.Kernels.Tests.MachineCode;

/// <summary>
/// What the machine code of <see cref="BlockDots"/> is assembled from. It keeps to the calling convention of Linux on x64: rdi has the operands, rsi the
/// activations, rdx the totals, rcx the number of rows, which is at least 1; all other registers that it uses are the callee's.
/// </summary>
static class BlockDotsListing
{
    // In an ActivationBlock, of which each fills a line of the cache.
    const int Scale = 32, ScaledSum = 36, Minus16ScaledSum = 44, Minus128Sum = 48, HalfSums = 52, BlockBytes = 64;

    // In BlockOperands.
    const int SecondCodes = 512, Scales = 1024, Minima = 1152, FirstHalf = 1280, SecondHalf = 1408, HalfOffsets = 1536, VectorBytes = 64;

    public static byte[] Assemble(BlockTerm term)
    {
        var c = new Assembler(64);
        var halves = term is BlockTerm.Minus32Halves or BlockTerm.Minus64Halves;
        AssemblerRegisterZMM[] first = [zmm0, zmm1, zmm2, zmm3, zmm4, zmm5, zmm6, zmm7];
        AssemblerRegisterZMM[] second = [zmm8, zmm9, zmm10, zmm11, zmm12, zmm13, zmm14, zmm15];
        var (sum0, sum1, scale0, scale1, a) = (zmm16, zmm17, zmm18, zmm19, zmm20);
        AssemblerRegisterZMM[] columns = [zmm21, zmm22];

        // Of formats with minima, and of those with scales of half a block.
        var (min0, min1) = (zmm23, zmm24);
        var (half0, half1, first0, first1, second0, second1, offsets0, offsets1) = (zmm23, zmm24, zmm25, zmm26, zmm27, zmm28, zmm29, zmm30);
        for (var v = 0; v < first.Length; v++)
        {
            c.vmovdqu32(first[v], __zmmword_ptr[rdi + VectorBytes * v]);
            c.vmovdqu32(second[v], __zmmword_ptr[rdi + SecondCodes + VectorBytes * v]);
        }
        c.vmovups(scale0, __zmmword_ptr[rdi + Scales]);
        c.vmovups(scale1, __zmmword_ptr[rdi + Scales + VectorBytes]);
        if (term is BlockTerm.WithMin)
        {
            c.vmovups(min0, __zmmword_ptr[rdi + Minima]);
            c.vmovups(min1, __zmmword_ptr[rdi + Minima + VectorBytes]);
        }
        if (halves)
        {
            c.vmovdqu32(first0, __zmmword_ptr[rdi + FirstHalf]);
            c.vmovdqu32(first1, __zmmword_ptr[rdi + FirstHalf + VectorBytes]);
            c.vmovdqu32(second0, __zmmword_ptr[rdi + SecondHalf]);
            c.vmovdqu32(second1, __zmmword_ptr[rdi + SecondHalf + VectorBytes]);
            c.vmovdqu32(offsets0, __zmmword_ptr[rdi + HalfOffsets]);
            c.vmovdqu32(offsets1, __zmmword_ptr[rdi + HalfOffsets + VectorBytes]);
        }

        var row = c.CreateLabel();
        c.Label(ref row);
        if (term is BlockTerm.Minus128) c.vpbroadcastd(sum0, __dword_ptr[rsi + Minus128Sum]);
        else c.vpxord(sum0, sum0, sum0);
        c.vmovdqa32(sum1, sum0);
        for (var v = 0; v < first.Length; v++)
        {
            if (halves && v == first.Length / 2)
            {
                c.vmovdqa32(half0, sum0);
                c.vmovdqa32(half1, sum1);
                c.vpxord(sum0, sum0, sum0);
                c.vpxord(sum1, sum1, sum1);
            }
            var four = columns[v % columns.Length];
            c.vpbroadcastd(four, __dword_ptr[rsi + 4 * v]);
            c.vpdpbusd(sum0, first[v], four);
            c.vpdpbusd(sum1, second[v], four);
        }
        if (halves)
        {
            c.vpmulld(half0, half0, first0);
            c.vpmulld(half1, half1, first1);
            c.vpmulld(sum0, sum0, second0);
            c.vpmulld(sum1, sum1, second1);
            c.vpaddd(sum0, sum0, half0);
            c.vpaddd(sum1, sum1, half1);
            c.vpbroadcastd(a, __dword_ptr[rsi + HalfSums]);
            c.vpmaddwd(half0, offsets0, a);
            c.vpmaddwd(half1, offsets1, a);
            c.vpaddd(sum0, sum0, half0);
            c.vpaddd(sum1, sum1, half1);
        }

        c.vbroadcastss(a, __dword_ptr[rsi + Scale]);
        c.vcvtdq2ps(sum0, sum0);
        c.vcvtdq2ps(sum1, sum1);
        if (term is BlockTerm.Minus16)
        {
            c.vfmadd213ps(sum0, a, __dword_bcst[rsi + Minus16ScaledSum]);
            c.vfmadd213ps(sum1, a, __dword_bcst[rsi + Minus16ScaledSum]);
        }
        else
        {
            c.vmulps(sum0, sum0, a);
            c.vmulps(sum1, sum1, a);
        }
        c.vfmadd213ps(sum0, scale0, __zmmword_ptr[rdx]);
        c.vfmadd213ps(sum1, scale1, __zmmword_ptr[rdx + BlockDots.TotalsBytes]);
        if (term is BlockTerm.WithMin)
        {
            c.vbroadcastss(a, __dword_ptr[rsi + ScaledSum]);
            c.vfmadd231ps(sum0, min0, a);
            c.vfmadd231ps(sum1, min1, a);
        }
        c.vmovups(__zmmword_ptr[rdx], sum0);
        c.vmovups(__zmmword_ptr[rdx + BlockDots.TotalsBytes], sum1);
        c.add(rsi, BlockBytes);
        c.add(rdx, VectorBytes);
        c.dec(rcx);
        c.jne(row);
        c.vzeroupper();
        c.ret();

        using var bytes = new MemoryStream();
        c.Assemble(new StreamCodeWriter(bytes), rip: 0);
        return bytes.ToArray();
    }
}
