using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Tests.Elementwise;

/// <summary>The functions over several rows: their results do not depend on how rows are shared among threads.</summary>
public sealed class RowFunctionsTests
{
    // Enough numbers that the work is really shared.
    const int Rows = 37;
    const int Length = 1000;

    public static TheoryData<int> ThreadCounts => [2, 3, 4];

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public void RmsNorm_is_the_same_on_any_number_of_threads(int count) => CheckThreads(count, (threads, x, y) =>
    {
        var result = new float[x.Length];
        RmsNorm.Apply(threads, x, y.AsSpan(0, Length), 1e-6f, result);
        return result;
    });

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public void SwiGlu_is_the_same_on_any_number_of_threads(int count) => CheckThreads(count, (threads, x, y) =>
    {
        SwiGlu.Apply(threads, x, y);
        return x;
    });

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public void Picked_rows_are_the_same_on_any_number_of_threads(int count) => CheckThreads(count, (threads, x, y) =>
    {
        int[] rows = [.. Enumerable.Range(0, Rows - 1).Select(row => row * 5 % Rows)];
        float[] factors = [.. rows.Select(row => 1 + (row / 64f))];
        var (picked, before) = (new float[rows.Length * Length], y.ToArray());
        PickedRows.Take(threads, x, Length, rows, factors, picked);
        PickedRows.Add(threads, y, Length, rows, factors, picked);
        for (var i = 0; i < picked.Length; i++)
        {
            var (product, at) = (picked[i] * factors[i / Length], (rows[i / Length] * Length) + (i % Length));
            Assert.Equal(before[at] + product, y[at]);
        }
        PickedRows.Scale(threads, y, [.. Enumerable.Range(0, Rows).Select(row => row / 8f)]);
        for (var i = 0; i < rows.Length; i++) Assert.Equal(x[(rows[i] * Length) + 3] * factors[i], picked[(i * Length) + 3]);
        return [.. picked, .. y];
    });

    [Fact]
    public void Rows_that_are_not_there_are_not_picked()
    {
        using var threads = new ComputeThreads(1);
        Assert.Throws<ArgumentOutOfRangeException>(() => PickedRows.Take(threads, new float[6], 2, [3], [1], new float[2]));
        Assert.Throws<ArgumentOutOfRangeException>(() => PickedRows.Add(threads, new float[6], 2, [-1], [1], new float[2]));
        Assert.Throws<ArgumentException>(() => PickedRows.Take(threads, new float[6], 2, [0, 1], [1], new float[4]));
        Assert.Throws<ArgumentException>(() => PickedRows.Scale(threads, new float[6], [1, 1, 1, 1]));
    }

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public void Residual_is_the_same_on_any_number_of_threads(int count) => CheckThreads(count, (threads, x, y) =>
    {
        Residual.Add(threads, x, y);
        return x;
    });

    [Theory]
    [InlineData(1, 0, 1000)]
    [InlineData(3, 0, 500)]
    [InlineData(2, 480, 520)]
    [InlineData(2, 999, 1)]
    public void Residual_of_some_columns_is_that_of_all_with_zeros_elsewhere(int count, int first, int columns)
    {
        using var threads = new ComputeThreads(count);
        float[] x = [.. Enumerable.Range(0, Rows * Length).Select(i => i / 7f)], y = [.. Enumerable.Range(0, Rows * columns).Select(i => 1 / (1f + i))];
        var expected = (float[])x.Clone();
        for (var row = 0; row < Rows; row++)
            for (var c = 0; c < columns; c++) expected[(row * Length) + first + c] += y[(row * columns) + c];

        Residual.Add(threads, x, Length, first, columns, y);

        Assert.Equal(expected, x);
        Assert.Throws<ArgumentOutOfRangeException>(() => Residual.Add(threads, x, Length, first + 1, Length - first, y));
        Assert.Throws<ArgumentException>(() => Residual.Add(threads, x, Length, first, columns, y.AsSpan(1)));
    }

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public void A_bias_is_added_to_every_row(int count)
    {
        using var threads = new ComputeThreads(count);
        float[] x = [.. Enumerable.Range(0, Rows * Length).Select(i => i / 7f)], bias = [.. Enumerable.Range(0, Length).Select(i => 1 / (1f + i))];
        float[] expected = [.. x.Select((number, i) => number + bias[i % Length])];

        Bias.Add(threads, x, bias);

        Assert.Equal(expected, x);
        Assert.Throws<ArgumentException>(() => Bias.Add(threads, x, bias.AsSpan(1)));
    }

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public void Rope_is_the_same_on_any_number_of_threads(int count) => CheckThreads(count, (threads, x, y) =>
    {
        Rope.Rotate(threads, x, heads: 10, headSize: 100, y.AsSpan(0, Rows * 64), y.AsSpan(1, Rows * 64));
        return x;
    });

    [Fact]
    public void Rope_turns_neighbours_by_position_times_frequency_and_leaves_the_rest()
    {
        float[] frequencies = [1, 0.25f];
        const int position = 1_000_003;
        var cosines = new float[4];
        var sines = new float[4];
        Rope.Angles(position, frequencies, cosines, sines);
        float[] x = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]; // two heads of 6, of which 4 are rotated
        using var threads = new ComputeThreads(1);

        Rope.Rotate(threads, x, heads: 2, headSize: 6, cosines, sines);

        Assert.Equal(Turned(1, 2, position), x[..2], Close);
        Assert.Equal(Turned(3, 4, position * 0.25), x[2..4], Close);
        Assert.Equal([5, 6], x[4..6]);
        Assert.Equal(Turned(7, 8, position), x[6..8], Close);
        Assert.Equal([11, 12], x[10..]);
    }

    [Fact]
    public void Rope_of_a_magnitude_makes_what_it_turns_longer()
    {
        float[] x = [1, 2, 3, 4, 5, 6], cosines = new float[4], sines = new float[4];
        Rope.Angles(7, [1, 0.25f], cosines, sines, magnitude: 1.5f);
        using var threads = new ComputeThreads(1);

        Rope.Rotate(threads, x, heads: 1, headSize: 6, cosines, sines);

        Assert.Equal(Turned(1.5, 3, 7), x[..2], Close);
        Assert.Equal(Turned(4.5, 6, 7 * 0.25), x[2..4], Close);
        Assert.Equal([5, 6], x[4..]);
    }

    [Fact]
    public void Lengths_that_do_not_belong_together_are_refused()
    {
        using var threads = new ComputeThreads(1);
        Assert.Throws<ArgumentException>(() => RmsNorm.Apply(threads, new float[5], new float[2], 0, new float[5]));
        Assert.Throws<ArgumentException>(() => RmsNorm.Apply(threads, new float[4], new float[2], 0, new float[6]));
        Assert.Throws<ArgumentException>(() => SwiGlu.Apply(threads, new float[4], new float[3]));
        Assert.Throws<ArgumentException>(() => Residual.Add(threads, new float[4], new float[3]));
        Assert.Throws<ArgumentException>(() => Rope.Rotate(threads, new float[8], 2, 4, new float[6], new float[6]));
        Assert.Throws<ArgumentException>(() => Rope.Rotate(threads, new float[8], 2, 4, new float[3], new float[3]));
    }

    static bool Close(float expected, float actual) => Math.Abs(expected - actual) < 1e-5f;

    static float[] Turned(double x, double y, double angle) =>
        [(float)((x * Math.Cos(angle)) - (y * Math.Sin(angle))), (float)((x * Math.Sin(angle)) + (y * Math.Cos(angle)))];

    static void CheckThreads(int count, Func<ComputeThreads, float[], float[], float[]> function)
    {
        float[] X() => TestNumbers.Even(Rows * Length, 1, 3);
        float[] Y() => TestNumbers.Even(Rows * Length, 2, 3);
        using var one = new ComputeThreads(1);
        using var several = new ComputeThreads(count);
        TestNumbers.AssertSameBits(function(one, X(), Y()), function(several, X(), Y()), $"{count} threads");
    }
}
