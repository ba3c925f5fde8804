using LlamaCluster.Primitives;
using LlamaCluster.Worker.KvDisk;

namespace LlamaCluster.Worker.Tests.KvDisk;

public class SlotIndexTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(100_000)]
    [InlineData(1_000_003)]
    public void Grow_ToAnySize_TakesAtMost64BytesASlot(int slots)
    {
        var index = new SlotIndex();
        var before = GC.GetAllocatedBytesForCurrentThread();
        index.Grow(slots);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, ((long)slots * SlotIndex.MostBytesPerSlot) + 100);
    }

    /// <summary>Over any sequence of operations the index does what a list, the oldest first, would.</summary>
    [Fact]
    public void Index_OverManyOperations_IsAListInTheOrderOfUse()
    {
        var random = new Random(3);
        var (index, expected, slots) = (new SlotIndex(), new List<(PrefixCacheKey Key, int Slot)>(), 0);
        for (var i = 0; i < 20_000; i++)
        {
            var slot = slots == 0 ? 0 : random.Next(slots);
            var at = expected.FindIndex(one => one.Slot == slot);
            switch (random.Next(4))
            {
                case 0 when slots < 60:
                    index.Grow(slots += random.Next(1, 4));
                    break;
                case 1 when slots > 0 && at < 0:
                    // Few buckets, so that many keys meet in one.
                    expected.Add((new PrefixCacheKey((UInt128)i, (UInt128)random.Next(4)), slot));
                    index.Add(expected[^1].Key, slot);
                    break;
                case 2 when at >= 0:
                    index.Remove(slot);
                    expected.RemoveAt(at);
                    break;
                case 3 when at >= 0:
                    index.Use(slot);
                    expected.Add(expected[at]);
                    expected.RemoveAt(at);
                    break;
            }
            Assert.Equal(expected.Count, index.Count);
            Assert.Equal(expected.Select(one => one.Slot).Reverse(), index.Slots);
            Assert.Equal(expected.Count == 0 ? null : expected[0].Slot, index.Oldest);
            foreach (var (key, its) in expected) Assert.Equal(its, index.Find(key));
            Assert.Null(index.Find(new PrefixCacheKey(UInt128.MaxValue, 1)));
        }
    }
}
