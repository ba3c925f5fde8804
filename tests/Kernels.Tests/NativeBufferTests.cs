namespace LlamaCluster.Kernels.Tests;

public sealed unsafe class NativeBufferTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(1000)]
    [InlineData(3_000_000)]
    public void Is_zero_and_aligned_to_a_cache_line(long length)
    {
        using var buffer = new NativeBuffer<int>(length);
        Assert.Equal(0, (long)buffer.Pointer % 64);
        Assert.Equal(-1, buffer.Span(0, (int)length).IndexOfAnyExcept(0));
        Assert.Equal(length * 4, buffer.Bytes);
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(2 << 20)]
    [InlineData((5 << 20) + 1)]
    public void Memory_that_was_used_before_is_zero_again(int length)
    {
        for (var round = 0; round < 3; round++)
        {
            using var buffer = new NativeBuffer<byte>(length);
            Assert.Equal(-1, buffer.Span(0, length).IndexOfAnyExcept((byte)0));
            buffer.Span(0, length).Fill(1);
        }
    }

    [Fact]
    public void Large_buffers_start_where_a_huge_page_can()
    {
        using var buffer = new NativeBuffer<byte>(3 << 20);
        if (OperatingSystem.IsLinux()) Assert.Equal(0, (long)buffer.Pointer % (2 << 20));
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(0, 11)]
    [InlineData(10, 1)]
    [InlineData(11, 0)]
    [InlineData(5, -1)]
    [InlineData(long.MaxValue, 2)]
    public void A_span_outside_is_refused(long offset, int count)
    {
        using var buffer = new NativeBuffer<byte>(10);
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.Span(offset, count).Length);
    }

    [Fact]
    public void Absurd_lengths_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new NativeBuffer<byte>(-1));
        Assert.Throws<OverflowException>(() => new NativeBuffer<long>(long.MaxValue));
        Assert.Throws<OutOfMemoryException>(() => new NativeBuffer<byte>(long.MaxValue - 64));
    }

    [Fact]
    public void Nothing_can_be_reached_after_dispose()
    {
        var buffer = new NativeBuffer<byte>(10);
        buffer.Dispose();
        buffer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => buffer.Span(0, 1).Length);
    }
}
