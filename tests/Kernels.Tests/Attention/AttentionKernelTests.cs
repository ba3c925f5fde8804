using LlamaCluster.Kernels.Attention;

namespace LlamaCluster.Kernels.Tests.Attention;

/// <summary>Every vector width stores and attends with the bits of the plain lanes.</summary>
public sealed unsafe class AttentionKernelTests
{
    public static TheoryData<int> HeadSizes => [2, 8, 16, 24, 40, 64, 80, 96, 128, 200];

    [Theory]
    [MemberData(nameof(HeadSizes))]
    public void Every_width_gives_the_same_bits(int headSize)
    {
        foreach (var type in Enum.GetValues<KvType>()) Check(new KvBlockLayout(type, 1, headSize));
    }

    static void Check(KvBlockLayout layout)
    {
        foreach (var (rows, group, position) in new[] { (1, 1, 0), (1, 4, 63), (1, 5, 130), (7, 3, 60), (8, 4, 0), (33, 1, 50), (1, 8, 130), (2, 13, 190) })
        {
            var expected = Run(AttentionKernel.For(layout, KernelWidth.Scalar), layout, rows, group, position);
            var what = $"{rows} rows of {group} at {position}";
            TestNumbers.AssertSameBits(expected, Run(AttentionKernel.For(layout, KernelWidth.Vector128), layout, rows, group, position), $"128 bits, {what}");
            TestNumbers.AssertSameBits(expected, Run(AttentionKernel.For(layout, KernelWidth.Avx2), layout, rows, group, position), $"256 bits, {what}");
            TestNumbers.AssertSameBits(expected, Run(AttentionKernel.For(layout, KernelWidth.Avx512), layout, rows, group, position), $"512 bits, {what}");
        }
    }

    /// <summary>Outputs [rows, group, E] over all positions, in two partitions where there are more than 64.</summary>
    static float[] Run(AttentionKernel kernel, KvBlockLayout layout, int rows, int group, int position)
    {
        var end = position + rows;
        var blocks = Enumerable.Range(0, (end + 15) / 16).Reverse().ToArray();
        using var pool = new KvPool(layout, layers: 1, blocks.Length);
        for (var p = 0; p < end; p++)
        {
            fixed (float* key = TestNumbers.Even(layout.HeadSize, p, 2), value = TestNumbers.Even(layout.HeadSize, -1 - p, 2))
                kernel.Store(pool.HeadTile(0, blocks[p / 16], 0), p % 16, key, value);
        }

        var queries = rows * group;
        using var memory = new GuardedFloats(new float[AttentionScratch.Length(layout, queries)]);
        var scratch = new AttentionScratch(memory.Pointer, layout, queries);
        kernel.TakeQueries(TestNumbers.Even(queries * layout.HeadSize, 77, 2), scratch.Queries);
        var head = pool.Head(0, 0, blocks);
        kernel.Attend(head, rows, group, position, 0, Math.Min(64, end), int.MaxValue, scratch, scratch.Total);
        if (end > 64)
        {
            kernel.Attend(head, rows, group, position, 64, end, int.MaxValue, scratch, scratch.Part);
            kernel.Add(scratch.Part, scratch.Total, Math.Max(0, 64 - position) * group, queries);
        }
        var output = new float[queries * layout.HeadSize];
        fixed (float* o = output) kernel.Finish(scratch.Total, 0, queries, o);
        return output;
    }
}
