using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Tests.Elementwise;

/// <summary>Integers of every vector width give what the plain ones give.</summary>
public sealed unsafe class IntegerLanesTests
{
    const int Count = 16;

    [Fact]
    public void Every_width_gives_the_same_numbers()
    {
        for (var seed = 0; seed < 100; seed++)
        {
            var expected = Results<PlainIntegers, PlainLanes>(seed);
            Assert.Equal(expected, Results<Integers128, Lanes128>(seed));
            Assert.Equal(expected, Results<Integers256, Lanes256>(seed));
            Assert.Equal(expected, Results<Integers512, Lanes512>(seed));
        }
    }

    [Fact]
    public void Halves_of_bytes_are_numbers_from_minus_8_to_7()
    {
        var bytes = Enumerable.Range(0, 32).Select(i => (sbyte)((i & 15) | ((15 - (i & 15)) << 4))).ToArray();
        short* one = stackalloc short[] { 1, 0 };
        float* sums = stackalloc float[Count];
        fixed (sbyte* b = bytes)
        {
            PlainIntegers.LoadHalfBytes(b, out var lower, out var upper);
            PlainLanes.Store(PlainIntegers.ToSingle(PlainIntegers.MultiplyAddPairs(lower, PlainIntegers.SpreadPair(one), default)), sums);
            Assert.Equal([0, 2, 4, 6, -8, -6, -4, -2], new ReadOnlySpan<float>(sums, 8));
            PlainLanes.Store(PlainIntegers.ToSingle(PlainIntegers.MultiplyAddPairs(upper, PlainIntegers.SpreadPair(one), default)), sums);
            Assert.Equal([-1, -3, -5, -7, 7, 5, 3, 1], new ReadOnlySpan<float>(sums, 8));
        }
    }

    /// <summary>The results of all operations on random numbers, one after the other.</summary>
    static float[] Results<TIntegers, TFloats>(int seed)
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
        where TFloats : unmanaged, IFloatLanes<TFloats>
    {
        var random = new Random(seed);
        var bytes = new sbyte[2 * Count];
        random.NextBytes((byte[])(object)bytes);
        var pair = new[] { (short)random.Next(-32767, 32768), (short)random.Next(-32767, 32768) };
        var results = new List<float>();
        float* floats = stackalloc float[Count];
        short* rounded = stackalloc short[Count];
        fixed (sbyte* b = bytes)
        fixed (short* p = pair)
        fixed (float* numbers = TestNumbers.Even(Count, seed, 32766))
        {
            TIntegers.LoadHalfBytes(b, out var lower, out var upper);
            var spread = TIntegers.SpreadPair(p);
            var sum = TIntegers.MultiplyAddPairs(TIntegers.LoadBytes(b), spread, TIntegers.Zero);
            foreach (var integers in new[] { sum, TIntegers.MultiplyAddPairs(lower, spread, sum), TIntegers.MultiplyAddPairs(upper, spread, sum) })
            {
                TFloats.Store(TIntegers.ToSingle(integers), floats);
                results.AddRange(new ReadOnlySpan<float>(floats, Count));
            }
            TIntegers.StoreRounded(TFloats.Load(numbers), rounded);
            for (var i = 0; i < Count; i++)
            {
                Assert.Equal((short)MathF.Round(numbers[i]), rounded[i]);
                results.Add(rounded[i]);
            }
        }
        return [.. results];
    }
}
