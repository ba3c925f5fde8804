using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests.Products;

/// <summary>The bound of docs/numerics.md: an activation is off by half a step of its scale at the most, and nothing else is.</summary>
public sealed class ProductErrorTests
{
    const int Rows = 32, Columns = 1024, Batch = 6;

    public static TheoryData<TensorType> Types => new(Enum.GetValues<TensorType>().Where(type => type.BlockSize() > 1));

    [Theory]
    [MemberData(nameof(Types))]
    public void No_output_is_off_by_more_than_half_a_step_of_each_activation(TensorType type)
    {
        const double Rounding = 1.001;   // of the float sums
        var stored = RandomRows.Stored(type, Rows, Columns, seed: 7);
        var x = RandomRows.Activations(Batch, Columns, seed: 8);
        var w = new float[Rows * Columns];
        RowDecoder.Decode(type, stored, w);
        var y = Multiply(type, stored, x);
        for (var b = 0; b < Batch; b++)
            for (var r = 0; r < Rows; r++)
            {
                var (exact, bound) = ExactAndBound(w.AsSpan(r * Columns, Columns), x.AsSpan(b * Columns, Columns), type.ActivationsPerScale());
                Assert.True(Math.Abs(y[b * Rows + r] - exact) <= Rounding * bound, $"{type} [{b}, {r}]: {y[b * Rows + r]} is more than {bound} from {exact}");
            }
    }

    static (double Exact, double Bound) ExactAndBound(ReadOnlySpan<float> w, ReadOnlySpan<float> x, int block)
    {
        var (exact, bound) = (0.0, 0.0);
        for (var first = 0; first < w.Length; first += block)
        {
            double largest = 0, weights = 0;
            for (var c = first; c < first + block; c++)
            {
                exact += (double)w[c] * x[c];
                weights += Math.Abs(w[c]);
                largest = Math.Max(largest, Math.Abs(x[c]));
            }
            bound += weights * largest / 127 / 2;
        }
        return (exact, bound);
    }

    static float[] Multiply(TensorType type, byte[] stored, float[] x)
    {
        using var threads = new ComputeThreads(2);
        using var w = new PackedMatrix(type, Rows, Columns);
        using var input = new MatMulInput(Batch, Columns);
        w.Pack(0, stored);
        input.Set(threads, x, Batch, Columns);
        var y = new float[Batch * Rows];
        MatMul.Multiply(threads, w, input, y);
        return y;
    }
}
