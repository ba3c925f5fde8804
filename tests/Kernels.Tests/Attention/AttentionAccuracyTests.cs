using LlamaCluster.Kernels.Attention;

namespace LlamaCluster.Kernels.Tests.Attention;

/// <summary>How far attention over few bits is from attention over floats, for heads as models have them.</summary>
public sealed unsafe class AttentionAccuracyTests
{
    const int HeadSize = 128, Positions = 200;

    /// <summary>Root mean square of the error over that of the output.</summary>
    [Theory]
    [InlineData(KvType.F16, 1.5e-4)]
    [InlineData(KvType.Q8_0, 2.5e-3)]
    [InlineData(KvType.Q4_0, 0.055)]
    public void Errors_are_those_of_what_is_stored(KvType type, double bound) => Assert.InRange(Error(type, outlier: 1), 0, bound);

    /// <summary>Keys of many models have few dimensions that are far greater than the others. Without its rotation Q4_0 is off by 0.11 here.</summary>
    [Theory]
    [InlineData(KvType.F16, 1.5e-4)]
    [InlineData(KvType.Q8_0, 0.01)]
    [InlineData(KvType.Q4_0, 0.07)]
    public void Keys_that_stand_out_in_two_dimensions_cost_little(KvType type, double bound) => Assert.InRange(Error(type, outlier: 30), 0, bound);

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Queries_that_are_not_finite_give_outputs_that_are_not(float number)
    {
        foreach (var type in Enum.GetValues<KvType>())
        {
            var queries = TestNumbers.Even(4 * HeadSize, 3, 1);
            queries[(2 * HeadSize) + 7] = number;
            var outputs = Attend(type, queries, outlier: 1);
            for (var query = 0; query < 4; query++)
                Assert.Equal(query != 2, outputs.Skip(query * HeadSize).Take(HeadSize).All(float.IsFinite));
        }
    }

    static double Error(KvType type, float outlier)
    {
        var queries = TestNumbers.Even(4 * HeadSize, 3, 1);
        // What is great in keys is small in queries, as norms and training have it: scores are of the order of 1.
        for (var q = 0; q < 4; q++)
            foreach (var e in Outliers) queries[(q * HeadSize) + e] /= outlier;
        var exact = Attend(KvType.F32, queries, outlier);
        var outputs = Attend(type, queries, outlier);
        return Math.Sqrt(exact.Zip(outputs, (a, b) => Math.Pow(a - b, 2)).Sum() / exact.Sum(a => (double)a * a));
    }

    static readonly int[] Outliers = [5, 70];

    /// <summary>Outputs [4, E] of the queries of one position that sees 200.</summary>
    static float[] Attend(KvType type, float[] queries, float outlier)
    {
        var layout = new KvBlockLayout(type, 1, HeadSize);
        var kernel = AttentionKernel.For(layout, KernelWidths.Chosen);
        var blocks = Enumerable.Range(0, (Positions + 15) / 16).ToArray();
        using var pool = new KvPool(layout, layers: 1, blocks.Length);
        for (var p = 0; p < Positions; p++)
        {
            var keys = TestNumbers.Even(HeadSize, 100 + p, 1);
            foreach (var e in Outliers) keys[e] *= outlier;
            fixed (float* key = keys, value = TestNumbers.Even(HeadSize, -1 - p, 1)) kernel.Store(pool.HeadTile(0, p / 16, 0), p % 16, key, value);
        }
        using var memory = new GuardedFloats(new float[AttentionScratch.Length(layout, 4)]);
        var scratch = new AttentionScratch(memory.Pointer, layout, 4);
        kernel.TakeQueries(queries, scratch.Queries);
        kernel.Attend(pool.Head(0, 0, blocks), 1, 4, Positions - 1, 0, Positions, int.MaxValue, scratch, scratch.Total);
        var output = new float[4 * HeadSize];
        fixed (float* o = output) kernel.Finish(scratch.Total, 0, 4, o);
        return output;
    }
}
