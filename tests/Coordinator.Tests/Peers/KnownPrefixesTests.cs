using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Peers;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Peers;

public sealed class KnownPrefixesTests
{
    [Fact]
    public void A_prompt_is_known_as_far_as_it_begins_like_one_that_was_seen()
    {
        var known = new KnownPrefixes();
        int[] seen = [.. Enumerable.Range(0, 300)];
        known.Note("one", Marks(seen));
        Assert.Equal(256, known.PositionsOf("one", Marks(seen)));
        Assert.Equal(128, known.PositionsOf("one", Marks([.. seen.Take(150), .. Enumerable.Range(1000, 150)])));
        Assert.Equal(0, known.PositionsOf("one", Marks([9, .. seen])));
        Assert.Equal(0, known.PositionsOf("one", Marks([.. seen.Take(63)])));
        Assert.Equal(0, known.PositionsOf("one", Marks(seen, salt: "other")));
        Assert.Equal(0, known.PositionsOf("two", Marks(seen)));
        known.Forget("one");
        Assert.Equal(0, known.PositionsOf("one", Marks(seen)));
    }

    [Fact]
    public void What_was_not_seen_for_long_is_forgotten()
    {
        var known = new KnownPrefixes();
        var (first, later) = (Marks([.. Enumerable.Range(0, 64)]), Enumerable.Range(0, 70_000).Select(mark => (ulong)mark).ToArray());
        known.Note("one", first);
        known.Note("one", later.AsSpan(0, 30_000));
        Assert.Equal(64, known.PositionsOf("one", first));
        known.Note("one", later.AsSpan(30_000));
        Assert.Equal(0, known.PositionsOf("one", first));
    }

    [Fact]
    public void News_are_read_once_and_a_reader_that_is_far_behind_misses_the_oldest()
    {
        var news = new PrefixNews();
        long place = 0;
        Assert.Empty(news.Read(ref place, 10));
        news.Add([1, 2, 3]);
        Assert.Equal([1UL, 2UL], news.Read(ref place, 2));
        Assert.Equal([3UL], news.Read(ref place, 2));
        Assert.Empty(news.Read(ref place, 2));
        news.Add([.. Enumerable.Range(0, 20_000).Select(mark => (ulong)mark)]);
        Assert.Equal((ulong)(20_000 - (1 << 14)), news.Read(ref place, 1)[0]);
    }

    static ulong[] Marks(int[] prompt, string salt = "")
        => RoutedPrompt.Of(new SequenceRequest(prompt, new SamplingOptions(), 1, new HashSet<int>()) { CacheSalt = salt }, new string('a', 64)).Marks;
}
