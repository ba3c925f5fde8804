using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests.Formats;

/// <summary>
/// Codes that AVX2 finds in code books are those that are found one by one, whole too: it is so that AVX-VNNI takes them, which few machines of those have
/// that run this.
/// </summary>
public sealed unsafe class GridLanesTests
{
    const int Columns = 1024;

    [Theory]
    [InlineData(TensorType.IQ1_S)]
    [InlineData(TensorType.IQ1_M)]
    [InlineData(TensorType.IQ2_XXS)]
    [InlineData(TensorType.IQ2_XS)]
    [InlineData(TensorType.IQ2_S)]
    [InlineData(TensorType.IQ3_XXS)]
    [InlineData(TensorType.IQ3_S)]
    public void Whole_codes_of_a_register_are_those_of_its_rows(TensorType type)
    {
        if (!KernelWidths.IsSupported(KernelWidth.Avx2)) return;   // on Arm, where nothing of it runs
        switch (type)
        {
            case TensorType.IQ1_S: Check<IQ1SFormat>(type); break;
            case TensorType.IQ1_M: Check<IQ1MFormat>(type); break;
            case TensorType.IQ2_XXS: Check<IQ2XXSFormat>(type); break;
            case TensorType.IQ2_XS: Check<IQ2XSFormat>(type); break;
            case TensorType.IQ2_S: Check<IQ2SFormat>(type); break;
            case TensorType.IQ3_XXS: Check<IQ3XXSFormat>(type); break;
            default: Check<IQ3SFormat>(type); break;
        }
    }

    static void Check<TFormat>(TensorType type) where TFormat : IQuantFormat
    {
        var layout = MatrixLayouts.For(type);
        using var group = new GuardedFloats(new float[layout.GroupBytes(Columns) / sizeof(float)]);
        layout.Pack(RandomRows.Stored(type, RowGroup.Rows, Columns, seed: 1), (int)type.RowBytes(Columns), (byte*)group.Pointer);
        var header = (byte*)group.Pointer;
        for (var column = 0; column < Columns; column += TFormat.BlocksPerHeader * ActivationBlock.Columns, header += QuantLayout<TFormat>.HeaderAndBlocksBytes)
            for (var b = 0; b < TFormat.BlocksPerHeader; b++)
                CheckBlock<TFormat>(header + QuantLayout<TFormat>.HeaderBytes + b * QuantLayout<TFormat>.BlockBytes);
    }

    static void CheckBlock<TFormat>(byte* block) where TFormat : IQuantFormat
    {
        var planes = block + QuantLayout<TFormat>.SmallBytes;
        for (var row = 0; row < RowGroup.Rows; row++)
        {
            var one = TFormat.Load<ScalarLanes, WholeCodes<uint>, uint>(block + row, planes + row * sizeof(uint), out _);
            var first = row / Avx2Lanes.Count * Avx2Lanes.Count;
            var eight = TFormat.Load<Avx2Lanes, WholeCodes<Vector256<byte>>, Vector256<byte>>(block + first, planes + first * sizeof(uint), out _);
            for (var v = 0; v < 8; v++) Assert.Equal(((uint*)&one)[v], ((uint*)&eight)[v * Avx2Lanes.Count + row - first]);
        }
    }
}
