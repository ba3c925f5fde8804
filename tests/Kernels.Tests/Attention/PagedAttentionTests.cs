using LlamaCluster.Kernels.Attention;

namespace LlamaCluster.Kernels.Tests.Attention;

public sealed class PagedAttentionTests
{
    public static TheoryData<KvType> Types => [.. Enum.GetValues<KvType>()];

    [Theory]
    [InlineData(1, 1, 2)]
    [InlineData(1, 1, 8)]
    [InlineData(4, 2, 16)]
    [InlineData(3, 1, 20)]
    [InlineData(8, 2, 64)]
    [InlineData(10, 2, 80)]
    [InlineData(6, 6, 128)]
    [InlineData(16, 1, 34)]
    public void Outputs_are_those_of_plain_attention(int heads, int kvHeads, int headSize)
    {
        foreach (var (type, tolerance) in new[] { (KvType.F32, 2e-5f), (KvType.F16, 4e-3f), (KvType.Q8_0, 6e-2f), (KvType.Q4_0, 0.8f) })
        {
            var attention = new AttentionCase(type, heads, kvHeads, headSize, 150, 7, 64, 65);
            var exact = attention.Exact();
            var outputs = attention.Run(attention.Together(40), threadCount: 2);

            Assert.Equal(exact.Length, outputs.Length);
            for (var i = 0; i < exact.Length; i++) Assert.Equal(exact[i], outputs[i], tolerance);
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void A_row_has_the_same_bits_in_any_step(KvType type)
    {
        var attention = new AttentionCase(type, 6, 2, 24, 150, 17, 64, 1);
        var alone = attention.Run(attention.Alone(), threadCount: 1);
        foreach (var chunk in new[] { 1, 2, 3, 7, 16, 17, 64 })
            for (var threads = 1; threads <= 4; threads++)
                TestNumbers.AssertSameBits(alone, attention.Run(attention.Together(chunk), threads), $"chunks of {chunk}, {threads} threads");
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void A_long_context_has_the_same_bits_whether_it_is_split_or_not(KvType type)
    {
        var attention = new AttentionCase(type, 4, 2, 16, 1100, 700);
        var whole = attention.Run(attention.Together(400), threadCount: 1);
        TestNumbers.AssertSameBits(whole, attention.Run(attention.Alone(), threadCount: 3), "three threads");
        TestNumbers.AssertSameBits(whole, attention.Run(attention.Together(3), threadCount: 2), "split by partitions");

        var exact = attention.Exact();
        if (type == KvType.F32)
            for (var i = 0; i < exact.Length; i++) Assert.Equal(exact[i], whole[i], 2e-5f);
    }

    [Theory]
    [InlineData(16)]
    [InlineData(48)]
    [InlineData(64)]
    [InlineData(256)]
    public void Rows_in_windows_see_their_own_window_only(int window)
    {
        foreach (var (type, tolerance) in new[] { (KvType.F32, 2e-5f), (KvType.F16, 4e-3f), (KvType.Q8_0, 6e-2f), (KvType.Q4_0, 0.8f) })
        {
            var attention = new AttentionCase(type, 4, 2, 16, 150, 7, 64, 65) { Window = new(window) };
            var exact = attention.Exact();
            var alone = attention.Run(attention.Alone(), threadCount: 1);
            for (var i = 0; i < exact.Length; i++) Assert.Equal(exact[i], alone[i], tolerance);
            foreach (var chunk in new[] { 1, 3, 16, 40 })
                TestNumbers.AssertSameBits(alone, attention.Run(attention.Together(chunk), threadCount: 3), $"windows of {window}, chunks of {chunk}");
        }
    }

    [Fact]
    public void Long_windows_have_the_same_bits_whether_they_are_split_or_not()
    {
        var attention = new AttentionCase(KvType.F32, 4, 2, 16, 1500) { Window = new(1024) };
        var whole = attention.Run(attention.Together(400), threadCount: 1);
        TestNumbers.AssertSameBits(whole, attention.Run(attention.Together(3), threadCount: 2), "split by partitions");
        var exact = attention.Exact();
        for (var i = 0; i < exact.Length; i++) Assert.Equal(exact[i], whole[i], 2e-5f);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(16)]
    [InlineData(37)]
    [InlineData(64)]
    [InlineData(100)]
    [InlineData(149)]
    [InlineData(1000)]
    public void Rows_in_sliding_windows_see_the_last_positions_only(int window)
    {
        foreach (var (type, tolerance) in new[] { (KvType.F32, 2e-5f), (KvType.F16, 4e-3f), (KvType.Q8_0, 6e-2f), (KvType.Q4_0, 0.8f) })
        {
            var attention = new AttentionCase(type, 4, 2, 16, 150, 7, 64, 65) { Window = new(window, Slides: true) };
            var exact = attention.Exact();
            var alone = attention.Run(attention.Alone(), threadCount: 1);
            for (var i = 0; i < exact.Length; i++) Assert.Equal(exact[i], alone[i], tolerance);
            foreach (var chunk in new[] { 1, 3, 16, 40 })
                TestNumbers.AssertSameBits(alone, attention.Run(attention.Together(chunk), threadCount: 3), $"windows of {window}, chunks of {chunk}");
        }
    }

    /// <summary>Windows that begin and end in any place of one partition, two or three.</summary>
    [Theory]
    [InlineData(20)]
    [InlineData(512)]
    [InlineData(700)]
    public void Sliding_windows_have_the_same_bits_whether_they_are_split_or_not(int window)
    {
        var attention = new AttentionCase(KvType.F32, 4, 2, 16, 1300) { Window = new(window, Slides: true) };
        var whole = attention.Run(attention.Together(400), threadCount: 1);
        TestNumbers.AssertSameBits(whole, attention.Run(attention.Alone(), threadCount: 3), "three threads");
        TestNumbers.AssertSameBits(whole, attention.Run(attention.Together(3), threadCount: 2), "split by partitions");
        var exact = attention.Exact();
        for (var i = 0; i < exact.Length; i++) Assert.Equal(exact[i], whole[i], 2e-5f);
    }

    [Fact]
    public void Windows_are_whole_blocks()
    {
        using var pool = new KvPool(new(KvType.F32, 1, 8), layers: 1, blocks: 1);
        Assert.Throws<ArgumentException>(() => new PagedAttention(pool, heads: 1, maxRows: 1, maxSequenceLength: 16, threads: 1, window: new(24)));
    }

    [Fact]
    public void Numbers_that_are_not_finite_are_not_stored()
    {
        using var threads = new ComputeThreads(2);
        foreach (var type in Enum.GetValues<KvType>())
        {
            using var pool = new KvPool(new(type, 2, 20), layers: 1, blocks: 1);
            using var attention = new PagedAttention(pool, heads: 2, maxRows: 4, maxSequenceLength: 16, threads: 2);
            attention.Begin([new AttentionChunk(0, 4, 0, [0])]);
            for (var bad = 0; bad < 160; bad++)
            {
                var good = TestNumbers.Even(160, bad);
                var damaged = good.ToArray();
                damaged[bad] = bad % 2 == 0 ? float.NaN : float.NegativeInfinity;
                Assert.False(attention.Store(threads, 0, damaged, good));
                Assert.False(attention.Store(threads, 0, good, damaged));
                Assert.True(attention.Store(threads, 0, good, good));
            }
        }
    }

    [Fact]
    public void Attending_allocates_nothing()
    {
        var allocated = AttendingAllocates();
        allocated = AttendingAllocates();
        Assert.Equal(0, allocated);
    }

    static long AttendingAllocates()
    {
        using var threads = new ComputeThreads(2);
        using var pool = new KvPool(new(KvType.F16, 2, 32), layers: 1, blocks: 40);
        using var attention = new PagedAttention(pool, heads: 4, maxRows: 2, maxSequenceLength: 640, threads: 2);
        var blocks = Enumerable.Range(0, 40).ToArray();
        var keys = TestNumbers.Even(2 * 2 * 32, 1);
        var queries = TestNumbers.Even(2 * 4 * 32, 2);
        var output = new float[queries.Length];
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var position = 0; position < 640; position += 2)
        {
            attention.Begin([new AttentionChunk(0, 2, position, blocks)]);
            attention.Store(threads, 0, keys, keys);
            attention.Attend(threads, 0, queries, output);
        }
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
