using LlamaCluster.Kernels.Attention;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests;

/// <summary>Sizes of a 405B model, beyond what an int counts. Memory is reserved, but only what is touched is taken.</summary>
public sealed class LargeSizesTests
{
    [Fact]
    public void The_last_rows_of_a_head_of_4_GB_are_where_they_must_be()
    {
        const int Rows = 128_256, Columns = 16_384, Group = RowGroup.Rows;
        using var threads = new ComputeThreads(2);
        using var head = new PackedMatrix(TensorType.BF16, Rows, Columns);
        Assert.Equal((long)Rows * Columns * 2, head.Bytes);
        var stored = new byte[Group * Columns * 2];
        // BF16 1 is 0x3F80: row r has a 1 in column r.
        for (var r = 0; r < Group; r++) (stored[(r * Columns + r) * 2], stored[((r * Columns + r) * 2) + 1]) = (0x80, 0x3F);
        head.Pack(Rows - Group, stored);

        var row = new float[Columns];
        head.DecodeRow(Rows - 1, row);
        Assert.Equal((1f, 1f), (row[Group - 1], row.Sum()));
        using var x = new MatMulInput(1, Columns);
        x.Set(threads, [.. Enumerable.Range(0, Columns).Select(i => (float)i)], 1, Columns);
        var y = new float[Group];
        MatMul.Multiply(threads, head, Rows - Group, Group, x, y);
        Assert.Equal(Enumerable.Range(0, Group).Select(i => (float)i), y);
    }

    [Fact]
    public void The_last_block_of_the_last_layer_of_a_pool_of_5_GB_is_where_it_must_be()
    {
        const int Layers = 126, Heads = 8, HeadSize = 128, Blocks = 600;
        using var threads = new ComputeThreads(1);
        using var pool = new KvPool(new KvBlockLayout(KvType.F16, Heads, HeadSize), Layers, Blocks);
        Assert.Equal(126L * 600 * 16 * 2 * 8 * 128 * 2, pool.Bytes);
        using var attention = new PagedAttention(pool, heads: 128, maxRows: 1, maxSequenceLength: 16, threads: 1);
        attention.Begin([new AttentionChunk(0, 1, 0, [Blocks - 1])]);
        float[] keys = [.. Enumerable.Repeat(1f, Heads * HeadSize)], values = [.. Enumerable.Range(0, Heads * HeadSize).Select(i => (float)i)];
        Assert.True(attention.Store(threads, Layers - 1, keys, values));
        var output = new float[128 * HeadSize];
        attention.Attend(threads, Layers - 1, new float[128 * HeadSize], output);

        // One position alone: its values, for each of the 16 query heads that share a kv head.
        for (var head = 0; head < 128; head++)
            Assert.Equal(values[(head / 16 * HeadSize)..((head / 16 * HeadSize) + HeadSize)], output[(head * HeadSize)..((head + 1) * HeadSize)]);
    }
}
