using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests.Products;

/// <summary>Low-rank products give the bits of plain loops, for any rows, in any company and on any number of threads.</summary>
public sealed class LowRankProductTests
{
    [Theory]
    [InlineData(TensorType.F32, 1, 37, 5)]
    [InlineData(TensorType.F16, 4, 512, 48)]
    [InlineData(TensorType.BF16, 16, 513, 33)]
    [InlineData(TensorType.F32, 17, 1100, 100)]
    [InlineData(TensorType.F16, 40, 1536, 512)]
    public void Rows_have_the_bits_of_the_plain_loops(TensorType type, int rank, int columns, int outputs)
    {
        const int Rows = 20;
        using var pair = Pair(type, rank, columns, outputs, scale: 0.7f);
        var x = RandomRows.Activations(Rows, columns, seed: 1);
        var y = RandomRows.Activations(Rows, outputs, seed: 2);
        int[] chosen = [.. Enumerable.Range(0, Rows).Where(row => row % 10 != 3)];
        var expected = y.ToArray();
        foreach (var row in chosen) PlainAdd(pair, x.AsSpan(row * columns, columns), expected.AsSpan(row * outputs, outputs));
        foreach (var threads in new[] { 1, 2, 3 })
            TestNumbers.AssertSameBits(expected, Run(pair, x, columns, chosen, y, threads), $"{type} rank {rank}, {threads} threads");
        foreach (var row in chosen)
        {
            var alone = Run(pair, x, columns, [row], y, threads: 2);
            TestNumbers.AssertSameBits(expected.AsSpan(row * outputs, outputs), alone.AsSpan(row * outputs, outputs), $"row {row} alone");
        }
    }

    [Fact]
    public void What_is_projected_beside_a_product_leaves_its_bits_as_they_are()
    {
        const int Rows = 3, Columns = 1024;
        using var matrix = Matrix(TensorType.F16, 512, Columns, seed: 7);   // large enough for all threads
        using var pair = Pair(TensorType.F16, 16, Columns, 512, 1);
        using var input = Input(RandomRows.Activations(Rows, Columns, seed: 1), Columns);
        using var product = new LowRankProduct(Rows, 16, Columns, 512);
        foreach (var count in new[] { 1, 2, 3 })
        {
            using var threads = new ComputeThreads(count);
            var (alone, beside) = (new float[Rows * 512], new float[Rows * 512]);
            MatMul.Multiply(threads, matrix, 0, 512, input, alone);
            product.Project(threads, input, new[] { 0 }, 0, pair);
            product.Project(threads, input, new[] { 1, 2 }, 1, pair);
            Assert.Throws<InvalidOperationException>(() => product.Add(threads, [0], 0, pair, alone));
            MatMul.Multiply(threads, matrix, 0, 512, input, beside, product);
            TestNumbers.AssertSameBits(alone, beside, $"{count} threads");
            product.Add(threads, [0], 0, pair, beside);
            product.Add(threads, [1, 2], 1, pair, beside);
            for (var row = 0; row < Rows; row++) PlainAdd(pair, RandomRows.Activations(Rows, Columns, seed: 1).AsSpan(row * Columns, Columns), alone.AsSpan(row * 512, 512));
            TestNumbers.AssertSameBits(alone, beside, $"with what is added, {count} threads");
        }
    }

    [Fact]
    public void Matrices_of_one_input_and_parts_of_outputs_have_the_bits_that_each_has_alone()
    {
        const int Rows = 5, Columns = 700;
        using var threads = new ComputeThreads(2);
        using var product = new LowRankProduct(Rows, 32, Columns, 96);
        using var first = Pair(TensorType.F16, 8, Columns, 96, 1);
        using var third = Pair(TensorType.F32, 32, Columns, 48, 2);
        var x = RandomRows.Activations(Rows, Columns, seed: 1);
        var (y0, y2) = (RandomRows.Activations(Rows, 96, seed: 2), RandomRows.Activations(Rows, 48, seed: 3));
        int[] rows = [0, 2, 4];
        var (expected0, expected2) = (Run(first, x, Columns, rows, y0, 1), Run(third, x, Columns, rows, y2, 1));

        var (together0, together2) = (y0.ToArray(), y2.ToArray());
        using var input = Input(x, Columns);
        Project(product, threads, input, rows, 1, first, null, third);
        product.Add(threads, rows, 1, first, together0, null, [], third, together2);
        TestNumbers.AssertSameBits(expected0, together0, "first");
        TestNumbers.AssertSameBits(expected2, together2, "third");

        // Outputs 32 .. 80 of each row, beside others.
        var part = y0.ToArray();
        Project(product, threads, input, rows, 0, first);
        product.AddPart(threads, rows, 0, first, 32, 48, part.AsSpan(32), 96);
        for (var row = 0; row < Rows; row++)
            for (var i = 0; i < 96; i++) Assert.Equal(i is >= 32 and < 80 ? expected0[(row * 96) + i] : y0[(row * 96) + i], part[(row * 96) + i]);
    }

    [Fact]
    public void Shapes_that_do_not_belong_together_are_refused()
    {
        using var threads = new ComputeThreads(1);
        using var product = new LowRankProduct(4, 8, 64, 32);
        using var pair = Pair(TensorType.F32, 8, 64, 32, 1);
        using var large = Pair(TensorType.F32, 9, 64, 32, 1);
        using var x = Input(new float[4 * 64], 64);
        using var narrow = Input(new float[4 * 32], 32);
        Assert.Throws<ArgumentException>(() => product.Project(threads, x, new[] { 0 }, 0, large));
        Assert.Throws<ArgumentException>(() => product.Project(threads, narrow, new[] { 0 }, 0, pair));
        Assert.Throws<ArgumentOutOfRangeException>(() => product.Project(threads, x, new[] { 4 }, 0, pair));
        Assert.Throws<ArgumentOutOfRangeException>(() => product.Project(threads, x, new[] { 0, 1 }, 3, pair));
        Assert.Throws<ArgumentOutOfRangeException>(() => product.AddPart(threads, [0], 0, pair, 8, 16, new float[64], 16));
        Assert.Throws<ArgumentOutOfRangeException>(() => product.AddPart(threads, [0], 0, pair, 16, 32, new float[128], 32));
    }

    static float[] Run(LowRankPair pair, float[] x, int columns, int[] rows, float[] y, int threads)
    {
        using var pool = new ComputeThreads(threads);
        using var product = new LowRankProduct(x.Length / columns, pair.Rank + 3, columns, (pair.B.Rows + 15) / 16 * 16);
        using var input = Input(x, columns);
        var result = y.ToArray();
        Project(product, pool, input, rows, 0, pair);
        product.Add(pool, rows, 0, pair, result);
        return result;
    }

    static MatMulInput Input(float[] x, int columns)
    {
        var input = new MatMulInput(x.Length / columns, columns);
        using var alone = new ComputeThreads(1);
        input.Set(alone, x, x.Length / columns, columns);
        return input;
    }

    /// <summary>With a product that the projection is beside, which nobody looks at.</summary>
    static void Project(
        LowRankProduct product, ComputeThreads threads, MatMulInput x, int[] rows, int slot, LowRankPair? w0, LowRankPair? w1 = null, LowRankPair? w2 = null)
    {
        using var matrix = Matrix(TensorType.F32, 400, x.Columns, seed: 7);
        product.Project(threads, x, rows, slot, w0, w1, w2);
        MatMul.Multiply(threads, matrix, 0, 400, x, new float[x.Rows * 400], product);
    }

    static void PlainAdd(LowRankPair pair, ReadOnlySpan<float> x, Span<float> y)
    {
        var (a, b) = (new float[pair.A.Columns], new float[pair.Rank]);
        var t = new float[pair.Rank];
        for (var r = 0; r < pair.Rank; r++)
        {
            pair.A.DecodeRow(r, a);
            var total = 0f;
            for (var column = 0; column < a.Length; column += LowRankProduct.ChunkColumns)
            {
                var sum = 0f;
                for (var piece = 0; piece < 4; piece++)
                {
                    var chain = 0f;
                    for (var c = column + (piece * 128); c < Math.Min(a.Length, column + ((piece + 1) * 128)); c++) chain = MathF.FusedMultiplyAdd(a[c], x[c], chain);
                    sum = piece == 0 ? chain : sum + chain;
                }
                total = column == 0 ? sum : total + sum;
            }
            t[r] = total * pair.Scale;
        }
        for (var i = 0; i < y.Length; i++)
        {
            pair.B.DecodeRow(i, b);
            var chain = 0f;
            for (var r = 0; r < b.Length; r++) chain = MathF.FusedMultiplyAdd(b[r], t[r], chain);
            y[i] += chain;
        }
    }

    static LowRankPair Pair(TensorType type, int rank, int columns, int outputs, float scale) =>
        new(Matrix(type, rank, columns, seed: 5), Matrix(type, outputs, rank, seed: 6), scale);

    static PackedMatrix Matrix(TensorType type, int rows, int columns, int seed)
    {
        var numbers = TestNumbers.Even(rows * columns, seed);
        var stored = new byte[rows * type.RowBytes(columns)];
        for (var i = 0; i < numbers.Length; i++)
        {
            var at = stored.AsSpan(i * (int)type.RowBytes(1));
            if (type == TensorType.F32) BitConverter.TryWriteBytes(at, numbers[i]);
            else if (type == TensorType.F16) BitConverter.TryWriteBytes(at, (Half)numbers[i]);
            else BitConverter.TryWriteBytes(at, (ushort)(BitConverter.SingleToUInt32Bits(numbers[i]) >> 16));
        }
        var matrix = new PackedMatrix(type, rows, columns);
        matrix.Pack(0, stored);
        return matrix;
    }
}
