using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Kernels.Tests.Twins;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests.Products;

/// <summary>Products whose every operand ends where a page begins that may not be touched.</summary>
public sealed unsafe class ProductsInGuardedMemoryTests
{
    public static TheoryData<TensorType> Types => new(Enum.GetValues<TensorType>());

    static IEnumerable<KernelWidth> Widths => Enum.GetValues<KernelWidth>().Where(KernelWidths.IsSupported);

    [Theory]
    [MemberData(nameof(Types))]
    public void Of_all_lengths(TensorType type)
    {
        // Float rows of any length; quantised ones of whole blocks.
        var lengths = type.BlockSize() == 1 ? Enumerable.Range(1, 256) : Enumerable.Range(1, 256 / 32).Select(n => n * type.BlockSize());
        foreach (var columns in lengths)
            Check(type, rows: columns % 7 + 1, columns, batch: columns % 3 == 0 ? 1 : columns % 6);
    }

    static void Check(TensorType type, int rows, int columns, int batch)
    {
        batch = Math.Max(1, batch);
        var rowBytes = (int)type.RowBytes(columns);
        var stored = RandomRows.Stored(type, rows, columns, columns);
        var x = RandomRows.Activations(batch, columns, columns);
        var expected = ProductTwin.Multiply(type, stored, rows, columns, x);

        var layout = MatrixLayouts.For(type);
        using var group = new GuardedFloats(new float[layout.GroupBytes(columns) / sizeof(float)]);
        using var floats = new GuardedFloats(x);
        using var blocks = new GuardedFloats(new float[batch * columns / ActivationBlock.Columns * sizeof(ActivationBlock) / sizeof(float)]);
        layout.Pack(stored, rowBytes, (byte*)group.Pointer);
        var perScale = Math.Max(1, type.ActivationsPerScale() / ActivationBlock.Columns);
        for (var row = 0; row < batch; row++)
            for (var b = 0; b < columns / ActivationBlock.Columns; b += perScale)
                ActivationQuantizer.Quantize(
                    floats.Pointer + row * columns + b * ActivationBlock.Columns, (ActivationBlock*)blocks.Pointer + b * batch + row, perScale, batch);

        var decoded = new float[columns];
        layout.Decode((byte*)group.Pointer, rows - 1, decoded);
        foreach (var width in Widths)
        {
            using var y = new GuardedFloats(new float[batch * rows]);
            var task = new ProductTask
            {
                Weights = (byte*)group.Pointer,
                GroupBytes = layout.GroupBytes(columns),
                Rows = rows,
                Columns = columns,
                Batch = batch,
                Floats = floats.Pointer,
                Blocks = (ActivationBlock*)blocks.Pointer,
                Output = y.Pointer,
            };
            ProductTable.For(type, width).Run(task, 0, 1);
            TestNumbers.AssertSameBits(expected, y.Span, $"{type} {width} [{batch}, {rows}, {columns}]");
        }
    }
}
