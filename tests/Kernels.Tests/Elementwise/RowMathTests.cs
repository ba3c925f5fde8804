using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Tests.Elementwise;

/// <summary>Every width at every length, right before a guarded page: the bits of the plain lanes, and close to plain double precision.</summary>
public sealed unsafe class RowMathTests
{
    const int Longest = 256;

    static readonly RowMath Plain = RowMath.For(KernelWidth.Scalar);

    static readonly RowMath[] Widths = [new RowMath<Lanes128>(), new RowMath<Lanes256>(), new RowMath<Lanes512>()];

    delegate float Operation(RowMath math, float* x, float* y, float* z, int length);

    [Fact]
    public void RmsNorm() => Check(
        (math, x, y, z, length) =>
        {
            math.RmsNorm(x, y, 1e-5f, z, length);
            return 0;
        },
        (x, y, z) =>
        {
            var scale = 1 / Math.Sqrt((x.Sum(v => (double)v * v) / x.Length) + 1e-5);
            for (var i = 0; i < x.Length; i++) z[i] = (float)(x[i] * scale * y[i]);
            return 0;
        });

    [Fact]
    public void Add() => Check(
        (math, x, y, z, length) =>
        {
            math.Add(x, y, length);
            return 0;
        },
        (x, y, z) =>
        {
            for (var i = 0; i < x.Length; i++) x[i] += y[i];
            return 0;
        });

    [Fact]
    public void Scale() => Check(
        (math, x, y, z, length) =>
        {
            math.Scale(x, 0.37f, y, length);
            return 0;
        },
        (x, y, z) =>
        {
            for (var i = 0; i < x.Length; i++) y[i] = x[i] * 0.37f;
            return 0;
        });

    [Fact]
    public void AddScaled() => Check(
        (math, x, y, z, length) =>
        {
            math.AddScaled(x, y, 0.37f, length);
            return 0;
        },
        (x, y, z) =>
        {
            for (var i = 0; i < x.Length; i++) x[i] = (float)(x[i] + (y[i] * 0.37));
            return 0;
        });

    [Fact]
    public void SwiGlu() => Check(
        (math, x, y, z, length) =>
        {
            math.SwiGlu(x, y, length);
            return 0;
        },
        (x, y, z) =>
        {
            for (var i = 0; i < x.Length; i++) x[i] = (float)(x[i] / (1 + Math.Exp(-x[i])) * y[i]);
            return 0;
        });

    [Fact]
    public void Rotate() => Check(
        (math, x, y, z, length) =>
        {
            math.Rotate(x, y, z, length);
            return 0;
        },
        (x, y, z) =>
        {
            for (var i = 0; i < x.Length; i += 2)
            {
                var first = ((double)x[i] * y[i]) + ((double)x[i + 1] * z[i]);
                var second = ((double)x[i + 1] * y[i + 1]) + ((double)x[i] * z[i + 1]);
                (x[i], x[i + 1]) = ((float)first, (float)second);
            }
            return 0;
        },
        step: 2);

    [Fact]
    public void Exp() => Check(
        (math, x, y, z, length) => math.Exp(x, 1.5f, 0.75f, z, length),
        (x, y, z) =>
        {
            for (var i = 0; i < x.Length; i++) z[i] = (float)Math.Exp((x[i] - 1.5) * 0.75);
            return z.Sum();
        });

    [Fact]
    public void SumOfExp() => Check(
        (math, x, y, z, length) => math.SumOfExp(x, 1.5f, 0.75f, length),
        (x, y, z) => (float)x.Sum(v => Math.Exp((v - 1.5) * 0.75)));

    [Fact]
    public void Max() => Check(
        (math, x, y, z, length) => length == 0 ? 0 : math.Max(x, length),
        (x, y, z) => x.Length == 0 ? 0 : x.Max());

    [Fact]
    public void MaxOfFinite() => Check(
        (math, x, y, z, length) => length == 0 ? 0 : math.MaxOfFinite(x, length),
        (x, y, z) => x.Length == 0 ? 0 : x.Max());

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void MaxOfFinite_is_NaN_wherever_a_number_is_not_finite(float bad)
    {
        foreach (var math in Widths.Append(Plain))
            for (var length = 1; length <= 40; length++)
                for (var at = 0; at < length; at++)
                {
                    var values = TestNumbers.Even(length, at);
                    values[at] = bad;
                    fixed (float* x = values) Assert.True(float.IsNaN(math.MaxOfFinite(x, length)));
                }
    }

    static void Check(Operation operation, Func<float[], float[], float[], float> truth, int step = 1)
    {
        for (var length = 0; length <= Longest; length += step)
        {
            var inputs = Enumerable.Range(1, 3).Select(i => TestNumbers.Even(length, (length * 3) + i, 4)).ToArray();
            var expected = Run(Plain, operation, inputs);
            foreach (var math in Widths)
                TestNumbers.AssertSameBits(expected, Run(math, operation, inputs), $"{math.GetType().GenericTypeArguments[0].Name}, length {length}");

            var plain = inputs.Select(input => input.ToArray()).ToArray();
            var result = truth(plain[0], plain[1], plain[2]);
            foreach (var (actual, wanted) in expected.Zip([.. plain.SelectMany(p => p), result]))
                Assert.Equal(wanted, actual, 2e-5f * Math.Max(1, Math.Abs(wanted)));
        }
    }

    static float[] Run(RowMath math, Operation operation, float[][] inputs)
    {
        using var x = new GuardedFloats(inputs[0]);
        using var y = new GuardedFloats(inputs[1]);
        using var z = new GuardedFloats(inputs[2]);
        var result = operation(math, x.Pointer, y.Pointer, z.Pointer, x.Length);
        return [.. x.Span, .. y.Span, .. z.Span, result];
    }
}
