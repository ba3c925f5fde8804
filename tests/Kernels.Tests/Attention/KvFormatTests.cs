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

    [Fact]
    public void Q4_is_off_by_at_most_its_scale_and_changes_nothing_beside_its_number()
    {
        var step = stackalloc byte[KvQ4.StepBytes];
        ushort scale = 0;
        for (var seed = 0; seed < 200; seed++)
            fixed (float* source = TestNumbers.Even(32, seed, 10))
            {
                new Span<byte>(step, KvQ4.StepBytes).Fill(0xA5);
                var factor = KvQ4.Scale(source, 32, &scale);
                var register = seed % 2;
                for (var i = 0; i < 32; i++) KvQ4.Store(source[i] * factor, step, register, i);
                var unit = BitConverter.Int32BitsToSingle(scale << 16);
                for (var i = 0; i < 32; i++)
                {
                    var code = register == 0 ? step[i] << 28 >> 28 : (sbyte)step[i] >> 4;
                    Assert.Equal(source[i], code * unit, MathF.Abs(unit) * 1.001f);
                    Assert.Equal(register == 0 ? 0xA0 : 0x05, step[i] & (register == 0 ? 0xF0 : 0x0F));
                }
            }
    }

    [Theory]
    [InlineData(KvType.F32, 128, 16384)]
    [InlineData(KvType.F16, 128, 8192)]
    [InlineData(KvType.Q8_0, 128, 4352)]
    [InlineData(KvType.F32, 8, 512 + 1024)]
    [InlineData(KvType.Q8_0, 8, 64 + 128 + 64 + 512)]
    [InlineData(KvType.Q4_0, 128, 2304)]
    [InlineData(KvType.Q4_0, 20, 64 + 192 + 64 + 256)]
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
            for (var i = 0; i < numbers.Length; i++) KvQ8.Store(source[i] * factor, (byte*)destination, register: 0, i);
        }
        return (bytes, BitConverter.Int32BitsToSingle(scale << 16));
    }
}
