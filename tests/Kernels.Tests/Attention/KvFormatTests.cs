using LlamaCluster.Kernels.Attention;

namespace LlamaCluster.Kernels.Tests.Attention;

public sealed unsafe class KvFormatTests
{
    [Fact]
    public void Q8_is_off_by_at_most_half_its_scale()
    {
        foreach (var size in new[] { 1e-40f, 1e-30f, 3e-6f, 0.01f, 1f, 1000f, 1e30f })
            for (var seed = 0; seed < 200; seed++)
            {
                var numbers = TestNumbers.Even(32, seed, size);
                var (bytes, scale) = StoreQ8(numbers);
                var greatest = numbers.Max(MathF.Abs);
                for (var i = 0; i < numbers.Length; i++)
                    Assert.Equal(numbers[i], bytes[i] * scale, MathF.Max(greatest / 252, 1.3e-36f));
                Assert.All(bytes, b => Assert.NotEqual(sbyte.MinValue, b));
            }
    }

    [Fact]
    public void Q8_keeps_zeros() => Assert.All(StoreQ8(new float[32]).Bytes, b => Assert.Equal(0, b));

    [Theory]
    [InlineData(KvType.F32, 128, 16384)]
    [InlineData(KvType.F16, 128, 8192)]
    [InlineData(KvType.Q8_0, 128, 4352)]
    [InlineData(KvType.F32, 8, 512 + 1024)]
    [InlineData(KvType.Q8_0, 8, 64 + 128 + 64 + 256)]
    public void A_head_tile_takes_what_its_numbers_take_and_whole_cache_lines(KvType type, int headSize, int bytes) =>
        Assert.Equal(bytes, new KvBlockLayout(type, 1, headSize).HeadBytes);

    [Fact]
    public void Sizes_that_do_not_fit_64_bits_are_refused()
    {
        Assert.Throws<OverflowException>(() => new KvPool(new(KvType.F32, 1 << 20, 1 << 20), 1 << 10, 1 << 20));
        Assert.True(new KvBlockLayout(KvType.F16, 8, 128).Bytes * 126L * 100_000 > int.MaxValue);
    }

    static (sbyte[] Bytes, float Scale) StoreQ8(float[] numbers)
    {
        var bytes = new sbyte[numbers.Length];
        ushort scale = 0;
        fixed (float* source = numbers)
        fixed (sbyte* destination = bytes)
        {
            var factor = KvQ8.Scale(source, numbers.Length, &scale);
            for (var i = 0; i < numbers.Length; i++) KvQ8.Store(source[i] * factor, (byte*)destination, i / 16, i % 16);
        }
        return (bytes, BitConverter.Int32BitsToSingle(scale << 16));
    }
}
