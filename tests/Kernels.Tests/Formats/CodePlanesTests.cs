using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests.Formats;

/// <summary>Codes that are put into bit planes come out as they were, at every width.</summary>
public sealed unsafe class CodePlanesTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(8)]
    public void Codes_come_back(int bits)
    {
        var random = new Random(bits);
        var codes = new byte[RowGroup.Rows * 32];
        random.NextBytes(codes);
        foreach (ref var code in codes.AsSpan()) code &= (byte)((1 << bits) - 1);
        using var planes = new GuardedFloats(new float[bits * CodePlanes.VectorBytes / sizeof(float)]);
        for (var row = 0; row < RowGroup.Rows; row++)
        {
            var block = new StoredBlock(Vector128.Create(codes, row * 32), Vector128.Create(codes, row * 32 + 16), 0);
            CodePlanes.Store((byte*)planes.Pointer + row * 4, bits, block);
        }

        Check<ScalarLanes, uint>(codes, (byte*)planes.Pointer, bits);
        Check<Vector128Lanes, Vector128<byte>>(codes, (byte*)planes.Pointer, bits);
        if (KernelWidths.IsSupported(KernelWidth.Avx2)) Check<Avx2Lanes, Vector256<byte>>(codes, (byte*)planes.Pointer, bits);
        if (KernelWidths.IsSupported(KernelWidth.Avx512)) Check<Avx512Lanes, Vector512<byte>>(codes, (byte*)planes.Pointer, bits);
    }

    static void Check<TLanes, V>(byte[] expected, byte* planes, int bits) where TLanes : ILanes<V> where V : unmanaged
    {
        for (var lane = 0; lane < RowGroup.Rows; lane += TLanes.Count)
        {
            var codes = CodePlanes.Load<TLanes, V>(planes + lane * 4, bits);
            var registers = (byte*)&codes;
            for (var row = 0; row < TLanes.Count; row++)
                for (var column = 0; column < 32; column++)
                {
                    var code = registers[column / 4 * sizeof(V) + row * 4 + column % 4];
                    Assert.Equal(expected[(lane + row) * 32 + column], bits == 3 ? code / 8 : code);
                }
        }
    }
}
