using LlamaCluster.Kernels;

namespace LlamaCluster.Kernels.Tests;

public sealed class MatMulTests
{
    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(3, 17, 40)]
    [InlineData(5, 32, 7)]
    public void Float_weights_give_the_plain_product(int batch, int rows, int columns)
    {
        var random = new Random(7);
        var weights = Enumerable.Range(0, rows * columns).Select(_ => random.NextSingle() - 0.5f).ToArray();
        var x = Enumerable.Range(0, batch * columns).Select(_ => random.NextSingle() - 0.5f).ToArray();
        var y = new float[batch * rows];
        using var threads = new ComputeThreads(2);
        using var matrix = new PackedMatrix(TensorType.F32, rows, columns);
        using var input = new MatMulInput(batch, columns);
        matrix.Pack(0, System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(weights));
        input.Set(threads, x, batch, columns);

        MatMul.Multiply(threads, matrix, input, y);

        for (var b = 0; b < batch; b++)
            for (var r = 0; r < rows; r++)
            {
                var expected = Enumerable.Range(0, columns).Sum(c => (double)x[b * columns + c] * weights[r * columns + c]);
                Assert.Equal(expected, y[b * rows + r], tolerance: 1e-5);
            }
    }
}
