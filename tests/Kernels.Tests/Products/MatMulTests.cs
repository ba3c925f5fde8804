using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Kernels.Tests.Twins;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests.Products;

/// <summary>Every product at every width that this processor has gives the twin's bits, at any shape, batch size and thread count.</summary>
public sealed class MatMulTests
{
    public static TheoryData<TensorType> Types => new(Enum.GetValues<TensorType>());

    static IEnumerable<KernelWidth> Widths => Enum.GetValues<KernelWidth>().Where(KernelWidths.IsSupported);

    [Theory]
    [MemberData(nameof(Types))]
    public void Every_width_gives_the_bits_of_the_plain_loops(TensorType type)
    {
        (int, int, int)[] shapes = [(1, 1, 1), (16, 1, 2), (17, 2, 3), (33, 3, 4), (48, 1, 5), (70, 2, 1), (15, 5, 8)];
        foreach (var (rows, blocks, batch) in shapes)
        {
            var columns = blocks * (type.BlockSize() == 1 ? 37 : type.BlockSize());
            var stored = RandomRows.Stored(type, rows, columns, seed: rows);
            var x = RandomRows.Activations(batch, columns, seed: batch);
            var expected = ProductTwin.Multiply(type, stored, rows, columns, x);
            foreach (var width in Widths)
                TestNumbers.AssertSameBits(
                    expected, Multiply(type, stored, rows, columns, x, threads: 1, width), $"{type} {width} [{batch}, {rows}, {columns}]");
        }
    }

    [Fact]
    public void Codes_at_the_ends_of_8_bits_do_not_overflow_a_sum()
    {
        // Rows of -128, of 127 and of both by turns; activations of which each becomes 127 or -127.
        const int Rows = 16, Columns = 64, Batch = 5;
        var stored = new byte[Rows * TensorType.Q8_0.RowBytes(Columns)];
        for (var i = 0; i < stored.Length; i++)
        {
            var (row, at) = (i / (int)TensorType.Q8_0.RowBytes(Columns), i % 34);
            stored[i] = at == 0 ? (byte)0 : at == 1 ? (byte)0x3c : row % 3 == 0 || row % 3 == 2 && at % 2 == 0 ? (byte)128 : (byte)127;
        }
        float[] x = [.. Enumerable.Range(0, Batch * Columns).Select(i => i / Columns % 2 == 0 || i % 3 == 0 ? 1f : -1f)];
        var expected = ProductTwin.Multiply(TensorType.Q8_0, stored, Rows, Columns, x);
        Assert.Equal(-128f * Columns, expected[0], 0.01f);
        foreach (var width in Widths)
            TestNumbers.AssertSameBits(expected, Multiply(TensorType.Q8_0, stored, Rows, Columns, x, threads: 1, width), $"{width}");
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void A_row_does_not_depend_on_batch_size_or_threads(TensorType type)
    {
        const int Rows = 40, Columns = 512, MostRows = 70;
        var stored = RandomRows.Stored(type, Rows, Columns, seed: 1);
        var x = RandomRows.Activations(MostRows, Columns, seed: 2);
        var expected = Multiply(type, stored, Rows, Columns, x, threads: 1, KernelWidths.Chosen);
        for (var batch = 1; batch <= MostRows; batch++)
            foreach (var threads in batch % 16 == 1 ? [1, 2, 3, 5] : new[] { 2 })
            {
                // The last rows of x, so that a row is at different places of its batches.
                var y = Multiply(type, stored, Rows, Columns, x[^(batch * Columns)..], threads, KernelWidths.Chosen);
                TestNumbers.AssertSameBits(expected[^(batch * Rows)..], y, $"{type}, batch of {batch}, {threads} threads");
            }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void One_row_does_not_depend_on_threads(TensorType type)
    {
        const int Rows = 1030, Columns = 256;
        var stored = RandomRows.Stored(type, Rows, Columns, seed: 1);
        var x = RandomRows.Activations(1, Columns, seed: 2);
        var expected = Multiply(type, stored, Rows, Columns, x, threads: 1, KernelWidths.Chosen);
        foreach (var threads in new[] { 2, 3, 5 })
            TestNumbers.AssertSameBits(expected, Multiply(type, stored, Rows, Columns, x, threads, KernelWidths.Chosen), $"{type}, {threads} threads");
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Some_rows_of_the_weights_give_the_bits_they_give_among_all(TensorType type)
    {
        const int Rows = 70, Columns = 512, Batch = 5;
        var stored = RandomRows.Stored(type, Rows, Columns, seed: 1);
        var x = RandomRows.Activations(Batch, Columns, seed: 2);
        var all = Multiply(type, stored, Rows, Columns, x, threads: 2, KernelWidths.Chosen);
        using var pool = new ComputeThreads(2);
        using var w = new PackedMatrix(type, Rows, Columns);
        using var input = new MatMulInput(Batch, Columns);
        w.Pack(0, stored);
        input.Set(pool, x, Batch, Columns);
        foreach (var (first, count) in new[] { (0, 70), (0, 1), (16, 16), (32, 20), (48, 22), (64, 6) })
        {
            var y = new float[Batch * count];
            MatMul.Multiply(pool, w, first, count, input, y);
            for (var row = 0; row < Batch; row++)
                TestNumbers.AssertSameBits(
                    all.AsSpan((row * Rows) + first, count).ToArray(), y[(row * count)..((row + 1) * count)], $"{type} rows {first} + {count}");
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => MatMul.Multiply(pool, w, 8, 16, input, new float[Batch * 16]));
        Assert.Throws<ArgumentOutOfRangeException>(() => MatMul.Multiply(pool, w, 64, 7, input, new float[Batch * 7]));
        Assert.Throws<ArgumentException>(() => MatMul.Multiply(pool, w, 0, 16, input, new float[Batch * 15]));
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Activations_with_zeros_around_them_meet_their_columns_only(TensorType type)
    {
        const int Rows = 20, Columns = 768, Batch = 3, Before = 40, Own = 500;
        var stored = RandomRows.Stored(type, Rows, Columns, seed: 1);
        var x = RandomRows.Activations(Batch, Own, seed: 2);
        var padded = new float[Batch * Columns];
        for (var row = 0; row < Batch; row++) x.AsSpan(row * Own, Own).CopyTo(padded.AsSpan((row * Columns) + Before));
        var expected = Multiply(type, stored, Rows, Columns, padded, threads: 2, KernelWidths.Chosen);
        using var pool = new ComputeThreads(2);
        using var w = new PackedMatrix(type, Rows, Columns);
        using var input = new MatMulInput(Batch, Columns);
        w.Pack(0, stored);
        input.Set(pool, RandomRows.Activations(Batch, Columns, seed: 3), Batch, Columns);
        input.Set(pool, x, Batch, Columns, Before, Own);
        var y = new float[Batch * Rows];
        MatMul.Multiply(pool, w, input, y);
        TestNumbers.AssertSameBits(expected, y, $"{type}");
        Assert.Throws<ArgumentOutOfRangeException>(() => input.Set(pool, x, Batch, Columns, Columns - Own + 1, Own));
        Assert.Throws<ArgumentException>(() => input.Set(pool, x, Batch, Columns, Before, Own + 1));
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Halves_of_a_row_that_are_scaled_together_add_up_to_the_whole(TensorType type)
    {
        // Cut within the second of three scales of any type; each half has zeros in the place of the other.
        const int Rows = 16, Columns = 768, Batch = 3, Cut = 410;
        var stored = RandomRows.Stored(type, Rows, Columns, seed: 1);
        var x = RandomRows.Activations(Batch, Columns, seed: 2);
        var whole = Multiply(type, stored, Rows, Columns, x, threads: 1, KernelWidths.Chosen);
        var block = type.BlockSize() == 1 ? 32 : type.BlockSize();
        var (first, last) = (Cut / block * block, ((Cut / block) + 1) * block);
        var scale = Math.Max(32, type.ActivationsPerScale());
        var (firstShared, endShared) = (Cut / scale * scale, ((Cut / scale) + 1) * scale);
        var (left, right) = (Half(0, last, 0, Cut), Half(first, Columns, Cut, Columns));
        for (var i = 0; i < whole.Length; i++) Assert.Equal(whole[i], left[i] + right[i], 1e-4f * (1 + Math.Abs(whole[i])));

        // Columns from..to of w, with activations in own..end.
        float[] Half(int from, int to, int own, int end)
        {
            using var pool = new ComputeThreads(2);
            using var w = new PackedMatrix(type, Rows, to - from);
            using var input = new MatMulInput(Batch, to - from);
            var rowBytes = (int)type.RowBytes(Columns);
            var (skip, bytes) = ((int)type.RowBytes(from), (int)type.RowBytes(to - from));
            w.Pack(0, [.. Enumerable.Range(0, Rows).SelectMany(row => stored[((row * rowBytes) + skip)..((row * rowBytes) + skip + bytes)])]);
            input.Set(
                pool,
                [.. Enumerable.Range(0, Batch).SelectMany(row => x[((row * Columns) + own)..((row * Columns) + end)])],
                Batch, to - from, own - from, end - own);
            float[] shared = [.. Enumerable.Range(0, Batch).Select(row => x[((row * Columns) + firstShared)..((row * Columns) + endShared)].Max(Math.Abs))];
            float[] none = new float[Batch];
            input.ScaleEdges(from == 0 ? none : shared, from == 0 ? shared : none);
            var y = new float[Batch * Rows];
            MatMul.Multiply(pool, w, input, y);
            return y;
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void The_product_is_close_to_the_exact_one(TensorType type)
    {
        const int Rows = 32, Columns = 1024, Batch = 4;
        var stored = RandomRows.Stored(type, Rows, Columns, seed: 3);
        var x = RandomRows.Activations(Batch, Columns, seed: 4);
        var w = new float[Rows * Columns];
        RowDecoder.Decode(type, stored, w);

        var y = Multiply(type, stored, Rows, Columns, x, threads: 2, KernelWidths.Chosen);

        double error = 0, size = 0;
        for (var b = 0; b < Batch; b++)
            for (var r = 0; r < Rows; r++)
            {
                double exact = 0;
                for (var c = 0; c < Columns; c++) exact += (double)w[r * Columns + c] * x[b * Columns + c];
                error += (y[b * Rows + r] - exact) * (y[b * Rows + r] - exact);
                size += exact * exact;
            }

        var limit = type.ActivationsPerScale() switch { 1 => 1e-6, 32 => 0.015, _ => 0.03 };
        Assert.True(Math.Sqrt(error / size) < limit, $"{type} is off by {Math.Sqrt(error / size):P3}");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(20)]
    public void Products_of_one_input_together_are_those_of_each(int batch)
    {
        const int Columns = 256;
        (TensorType Type, int Rows)[] matrices = [(TensorType.Q4_K, 96), (TensorType.Q8_0, 16), (TensorType.F16, 30)];
        var x = RandomRows.Activations(batch, Columns, seed: 1);
        var stored = matrices.Select(m => RandomRows.Stored(m.Type, m.Rows, Columns, seed: 2)).ToArray();
        var alone = matrices.Select((m, i) => Multiply(m.Type, stored[i], m.Rows, Columns, x, threads: 1, KernelWidths.Chosen)).ToArray();

        var packed = matrices.Select(m => new PackedMatrix(m.Type, m.Rows, Columns)).ToArray();
        for (var i = 0; i < packed.Length; i++) packed[i].Pack(0, stored[i]);
        using var threads = new ComputeThreads(2);
        using var input = new MatMulInput(batch, Columns);
        input.Set(threads, x, batch, Columns);
        var two = alone.Select(y => new float[y.Length]).ToArray();
        var three = alone.Select(y => new float[y.Length]).ToArray();
        MatMul.Multiply(threads, input, packed[0], two[0], packed[1], two[1]);
        MatMul.Multiply(threads, input, packed[0], three[0], packed[1], three[1], packed[2], three[2]);

        for (var i = 0; i < 3; i++) TestNumbers.AssertSameBits(alone[i], three[i], $"product {i} of three");
        for (var i = 0; i < 2; i++) TestNumbers.AssertSameBits(alone[i], two[i], $"product {i} of two");
        foreach (var matrix in packed) matrix.Dispose();
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void A_product_allocates_nothing(TensorType type)
    {
        const int Rows = 64, Columns = 512, Batch = 20;
        var x = RandomRows.Activations(Batch, Columns, seed: 1);
        var y = new float[Batch * Rows];
        using var threads = new ComputeThreads(2);
        using var matrix = new PackedMatrix(type, Rows, Columns);
        using var input = new MatMulInput(Batch, Columns);
        input.Set(threads, x, Batch, Columns);
        MatMul.Multiply(threads, matrix, input, y);

        var before = GC.GetAllocatedBytesForCurrentThread();
        input.Set(threads, x, Batch, Columns);
        MatMul.Multiply(threads, matrix, input, y);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void An_infinite_activation_spoils_its_own_row_only()
    {
        var stored = RandomRows.Stored(TensorType.Q4_0, 16, 64, seed: 1);
        var x = RandomRows.Activations(2, 64, seed: 1);
        x[40] = float.PositiveInfinity;

        var y = Multiply(TensorType.Q4_0, stored, 16, 64, x, threads: 1, KernelWidths.Chosen);

        Assert.All(y[..16], value => Assert.True(float.IsNaN(value)));
        Assert.All(y[16..], value => Assert.True(float.IsFinite(value)));
    }

    [Fact]
    public void Shapes_that_do_not_belong_together_are_refused()
    {
        using var threads = new ComputeThreads(1);
        using var matrix = new PackedMatrix(TensorType.F32, 4, 8);
        using var input = new MatMulInput(2, 16);
        input.Set(threads, new float[16], 1, 16);
        Assert.Throws<ArgumentException>(() => MatMul.Multiply(threads, matrix, input, new float[4]));
        input.Set(threads, new float[16], 2, 8);
        Assert.Throws<ArgumentException>(() => MatMul.Multiply(threads, matrix, input, new float[4]));
    }

    static float[] Multiply(TensorType type, byte[] stored, int rows, int columns, float[] x, int threads, KernelWidth width)
    {
        var batch = x.Length / columns;
        var y = new float[batch * rows];
        using var team = new ComputeThreads(threads);
        using var matrix = new PackedMatrix(type, rows, columns);
        using var input = new MatMulInput(batch, columns);
        matrix.Pack(0, stored);
        input.Set(team, x, batch, columns);
        MatMul.Multiply(team, matrix, input, y, ProductTable.For(type, width));
        return y;
    }
}
