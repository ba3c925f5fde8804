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
    public void Products_of_one_input_are_added_to_by_the_threads_that_compute_them()
    {
        const int Rows = 3, Columns = 1024;
        using var matrix = Matrix(TensorType.F16, 512, Columns, seed: 7);   // large enough for all threads
        using var pair = Pair(TensorType.F16, 16, Columns, 512, 1);
        var x = RandomRows.Activations(Rows, Columns, seed: 1);
        using var input = Input(x, Columns);
        using var product = new LowRankProduct(Rows, 16, Columns);
        foreach (var count in new[] { 1, 2, 3 })
        {
            using var threads = new ComputeThreads(count);
            var (expected, actual) = (new float[Rows * 512], new float[Rows * 512]);
            MatMul.Multiply(threads, matrix, 0, 512, input, expected);
            for (var row = 0; row < Rows; row++) PlainAdd(pair, x.AsSpan(row * Columns, Columns), expected.AsSpan(row * 512, 512));
            product.Begin();
            product.Project(threads, input, new[] { 0 }, 0, pair);
            product.Project(threads, input, new[] { 1, 2 }, 1, pair);
            MatMul.Multiply(threads, matrix, 0, 512, input, actual, product);
            TestNumbers.AssertSameBits(expected, actual, $"{count} threads");

            // In two parts, of which the first projects for both.
            var (first, second) = (new float[Rows * 320], new float[Rows * 192]);
            product.Begin();
            product.Project(threads, input, new[] { 0, 1, 2 }, 0, pair);
            MatMul.Multiply(threads, matrix, 0, 320, input, first, product);
            MatMul.Multiply(threads, matrix, 320, 192, input, second, product);
            for (var row = 0; row < Rows; row++)
            {
                TestNumbers.AssertSameBits(expected.AsSpan(row * 512, 320), first.AsSpan(row * 320, 320), $"first part of row {row}, {count} threads");
                TestNumbers.AssertSameBits(
                    expected.AsSpan((row * 512) + 320, 192), second.AsSpan(row * 192, 192), $"second part of row {row}, {count} threads");
            }
        }
    }

    [Fact]
    public void Matrices_of_one_input_have_the_bits_that_each_has_alone()
    {
        const int Rows = 5, Columns = 700;
        using var threads = new ComputeThreads(2);
        using var product = new LowRankProduct(Rows, 32, Columns);
        using var first = Pair(TensorType.F16, 8, Columns, 96, 1);
        using var third = Pair(TensorType.F32, 32, Columns, 48, 2);
        using var w0 = Zeros(96, Columns);
        using var w1 = Zeros(64, Columns);
        using var w2 = Zeros(48, Columns);
        var x = RandomRows.Activations(Rows, Columns, seed: 1);
        int[] rows = [0, 2, 4];
        var (expected0, expected2) = (Run(first, x, Columns, rows, new float[Rows * 96], 1), Run(third, x, Columns, rows, new float[Rows * 48], 1));
        var (y0, y1, y2) = (new float[Rows * 96], new float[Rows * 64], new float[Rows * 48]);
        using var input = Input(x, Columns);
        product.Project(threads, input, rows, 1, first, null, third);
        MatMul.Multiply(threads, input, w0, y0, w1, y1, w2, y2, product);
        TestNumbers.AssertSameBits(expected0, y0, "first");
        TestNumbers.AssertSameBits(new float[Rows * 64], y1, "second");
        TestNumbers.AssertSameBits(expected2, y2, "third");
    }

    [Theory]
    [InlineData(TensorType.F32)]
    [InlineData(TensorType.F16)]
    public void Rows_of_an_embedding_get_B_times_their_row_of_A(TensorType type)
    {
        const int Ids = 70, Rank = 5, Columns = 48;
        using var pair = new LowRankPair(Matrix(type, Ids, Rank, seed: 5), Matrix(type, Columns, Rank, seed: 6), 0.7f);
        using var product = new LowRankProduct(20, 8, Columns);
        int[] ids = [.. Enumerable.Range(0, 20).Select(i => i * 3)];
        var y = RandomRows.Activations(22, Columns, seed: 2);
        var expected = y.ToArray();
        var (a, b) = (new float[Rank], new float[Rank]);
        foreach (var (index, id) in ids.Index())
        {
            pair.A.DecodeRow(id, a);
            for (var i = 0; i < Columns; i++)
            {
                pair.B.DecodeRow(i, b);
                var chain = 0f;
                for (var r = 0; r < Rank; r++) chain = MathF.FusedMultiplyAdd(b[r], a[r] * 0.7f, chain);
                expected[((index + 2) * Columns) + i] += chain;
            }
        }
        product.AddRows(pair, ids, y, firstRow: 2);
        TestNumbers.AssertSameBits(expected, y, type.ToString());
    }

    [Fact]
    public void Shapes_that_do_not_belong_together_are_refused()
    {
        using var threads = new ComputeThreads(1);
        using var product = new LowRankProduct(4, 8, 64);
        using var pair = Pair(TensorType.F32, 8, 64, 32, 1);
        using var large = Pair(TensorType.F32, 9, 64, 32, 1);
        using var x = Input(new float[4 * 64], 64);
        using var narrow = Input(new float[4 * 32], 32);
        using var wide = Zeros(48, 64);
        Assert.Throws<ArgumentException>(() => product.Project(threads, x, new[] { 0 }, 0, large));
        Assert.Throws<ArgumentException>(() => product.Project(threads, narrow, new[] { 0 }, 0, pair));
        Assert.Throws<ArgumentOutOfRangeException>(() => product.Project(threads, x, new[] { 4 }, 0, pair));
        Assert.Throws<ArgumentOutOfRangeException>(() => product.Project(threads, x, new[] { 0, 1 }, 3, pair));
        product.Project(threads, x, new[] { 0 }, 0, pair);
        Assert.Throws<ArgumentOutOfRangeException>(() => MatMul.Multiply(threads, wide, 0, 48, x, new float[4 * 48], product));
        Assert.Throws<ArgumentException>(() => product.AddRows(large, [0], new float[32], 0));
    }

    /// <summary>To the outputs of a matrix of zeros, which then are what is added.</summary>
    static float[] Run(LowRankPair pair, float[] x, int columns, int[] rows, float[] y, int threads)
    {
        using var pool = new ComputeThreads(threads);
        using var product = new LowRankProduct(x.Length / columns, pair.Rank + 3, columns);
        using var input = Input(x, columns);
        using var zeros = Zeros(pair.B.Rows, columns);
        var added = new float[y.Length];
        product.Project(pool, input, rows, 0, pair);
        MatMul.Multiply(pool, zeros, 0, pair.B.Rows, input, added, product);
        return [.. y.Zip(added, (before, more) => before + more)];
    }

    static PackedMatrix Zeros(int rows, int columns)
    {
        var matrix = new PackedMatrix(TensorType.F32, rows, columns);
        matrix.Pack(0, new byte[rows * columns * sizeof(float)]);
        return matrix;
    }

    static MatMulInput Input(float[] x, int columns)
    {
        var input = new MatMulInput(x.Length / columns, columns);
        using var alone = new ComputeThreads(1);
        input.Set(alone, x, x.Length / columns, columns);
        return input;
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
                    for (var c = column + (piece * 128); c < Math.Min(a.Length, column + ((piece + 1) * 128)); c++)
                        chain = MathF.FusedMultiplyAdd(a[c], x[c], chain);
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
