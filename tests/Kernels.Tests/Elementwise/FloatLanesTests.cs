using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Tests.Elementwise;

/// <summary>Every width does what the plain loops of <see cref="PlainLanes"/> do, in every bit.</summary>
public sealed unsafe class FloatLanesTests
{
    const int Count = 16;

    [Fact]
    public void Lanes_of_512_bits_equal_plain_loops() => Check<Lanes512>();

    [Fact]
    public void Lanes_of_256_bits_equal_plain_loops() => Check<Lanes256>();

    [Fact]
    public void Lanes_of_128_bits_equal_plain_loops() => Check<Lanes128>();

    static void Check<TLanes>()
        where TLanes : unmanaged, IFloatLanes<TLanes>
    {
        for (var seed = 0; seed < 50; seed++)
            TestNumbers.AssertSameBits(Results<PlainLanes>(seed), Results<TLanes>(seed), $"{typeof(TLanes).Name}, seed {seed}");
    }

    /// <summary>The results of all operations on random lanes, one after the other.</summary>
    static float[] Results<TLanes>(int seed)
        where TLanes : unmanaged, IFloatLanes<TLanes>
    {
        var numbers = TestNumbers.Even(3 * Count, seed, 10);
        var bfloats = numbers.Take(Count).Select(n => (ushort)(BitConverter.SingleToUInt32Bits(n) >> 16)).ToArray();
        var halves = numbers.Select(n => HalfBits.FromSingle(n)).ToArray();
        var results = new List<float>();
        fixed (float* n = numbers)
        fixed (ushort* b = bfloats, h = halves)
        {
            TLanes x = TLanes.Load(n), y = TLanes.Load(n + Count), z = TLanes.Load(n + (2 * Count));
            TLanes.LoadHalfPairs(h, out var first, out var second);
            TLanes[] lanes =
            [
                TLanes.Broadcast(numbers[0]), x, TLanes.LoadBFloat16(b), first, second,
                x + y, x - y, x * y, x / y, TLanes.MultiplyAdd(x, y, z), TLanes.Max(x, y), TLanes.WhereGreater(x, y, z, x), TLanes.Abs(x),
                TLanes.AddToExponent(x, TLanes.Broadcast(BitConverter.Int32BitsToSingle((seed % 7) - 3))), TLanes.SwapPairs(x),
                TLanes.SwapTwos(x), TLanes.SwapFours(x), TLanes.SwapEights(x),
            ];
            var stored = stackalloc float[Count];
            foreach (var value in lanes)
            {
                TLanes.Store(value, stored);
                results.AddRange(new ReadOnlySpan<float>(stored, Count));
            }
            results.Add(TLanes.Sum(x));
            results.Add(TLanes.Max(x));
        }
        return [.. results];
    }
}
