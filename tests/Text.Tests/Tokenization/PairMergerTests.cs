using System.Text;
using LlamaCluster.Text.Tokenization;

namespace LlamaCluster.Text.Tests.Tokenization;

public sealed class PairMergerTests
{
    [Fact]
    public void MergesTheBestPairFirstAndTheLeftmostOfEquals()
    {
        // Merges in order of rank: aa, ab, aaa (= aa a).
        string[] tokens = ["a", "b", "aa", "ab", "aaa"];
        (int, int, int)[] merges = [(0, 0, 2), (0, 1, 3), (2, 0, 4)];

        Assert.Equal("aaa", Merge("aaa", tokens, merges));
        Assert.Equal("aa aa", Merge("aaaa", tokens, merges));
        Assert.Equal("aa ab", Merge("aaab", tokens, merges));
        Assert.Equal("b ab b", Merge("babb", tokens, merges));
        Assert.Equal("a", Merge("a", tokens, merges));
        Assert.Equal("", Merge("", tokens, merges));
    }

    [Fact]
    public void GivesWhatRepeatedSearchForTheBestPairGives()
    {
        var random = new Random(2);
        for (var round = 0; round < 500; round++)
        {
            var (tokens, merges) = RandomMerges(random);
            var text = string.Concat(Enumerable.Range(0, random.Next(1, 60)).Select(_ => "abc"[random.Next(3)]));
            Assert.Equal(MergeSlowly(text, tokens, merges), Merge(text, tokens, merges));
        }
    }

    [Theory]
    [InlineData(1_000)]
    [InlineData(100_000)]
    public void LooksAtAsManyPairsAsThereAreCharacters(int length)
    {
        var work = new Counter();
        // Powers of two of one letter: every merge makes new pairs.
        var lengths = Enumerable.Range(0, 12).Select(power => 1 << power).ToArray();
        var table = new MergeTable(lengths.Length);
        for (var i = 0; i + 1 < lengths.Length; i++) table.TryAdd(i, i, (uint)i, i + 1);
        var merger = new PairMerger<CountingRule>(new CountingRule(new MergesByRank(table), work));
        merger.Begin(length);
        for (var i = 0; i < length; i++) merger.Append(0, i, 1);
        merger.Merge(new byte[length]);
        merger.Dispose();

        Assert.InRange(work.Pairs, length - 1, 3 * length);
    }

    [Fact]
    public void ScoresOrderAsNumbersDo()
    {
        float[] scores = [float.MaxValue, 2.5f, 1e-30f, 0f, -1e-30f, -1f, -1.0000001f, -3000f, float.MinValue];
        Assert.Equal(scores, scores.OrderBy(MergesByScore.Priority));
        Assert.Equal(MergesByScore.Priority(0f), MergesByScore.Priority(-0f));
    }

    static (List<string>, List<(int, int, int)>) RandomMerges(Random random)
    {
        List<string> tokens = ["a", "b", "c"];
        List<(int, int, int)> merges = [];
        for (var i = 0; i < 12; i++)
        {
            var (left, right) = (random.Next(tokens.Count), random.Next(tokens.Count));
            if (merges.Any(merge => merge.Item1 == left && merge.Item2 == right)) continue;
            var merged = tokens.IndexOf(tokens[left] + tokens[right]);
            if (merged < 0)
            {
                merged = tokens.Count;
                tokens.Add(tokens[left] + tokens[right]);
            }
            merges.Add((left, right, merged));
        }
        return (tokens, merges);
    }

    static string Merge(string text, IReadOnlyList<string> tokens, IReadOnlyList<(int Left, int Right, int Merged)> merges)
    {
        var table = new MergeTable(merges.Count);
        for (var rank = 0; rank < merges.Count; rank++) Assert.True(table.TryAdd(merges[rank].Left, merges[rank].Right, (uint)rank, merges[rank].Merged));
        var merger = new PairMerger<MergesByRank>(new MergesByRank(table));
        merger.Begin(text.Length);
        for (var i = 0; i < text.Length; i++) merger.Append(text[i] - 'a', i, 1);
        merger.Merge(Encoding.ASCII.GetBytes(text));
        var result = string.Join(' ', merger.Symbols.ToArray().Where(symbol => symbol.Length > 0).Select(symbol => tokens[symbol.Id]));
        merger.Dispose();
        return result;
    }

    static string MergeSlowly(string text, List<string> tokens, List<(int Left, int Right, int Merged)> merges)
    {
        var ids = text.Select(letter => letter - 'a').ToList();
        while (true)
        {
            var best = (Rank: int.MaxValue, At: -1);
            for (var at = 0; at + 1 < ids.Count; at++)
            {
                var rank = merges.FindIndex(merge => merge.Left == ids[at] && merge.Right == ids[at + 1]);
                if (rank >= 0 && rank < best.Rank) best = (rank, at);
            }
            if (best.At < 0) return string.Join(' ', ids.Select(id => tokens[id]));
            ids[best.At] = merges[best.Rank].Merged;
            ids.RemoveAt(best.At + 1);
        }
    }

    sealed class Counter
    {
        public int Pairs { get; set; }
    }

    readonly struct CountingRule(MergesByRank rule, Counter work) : IMergeRule
    {
        public bool TryMerge(ReadOnlySpan<byte> text, in Symbol left, in Symbol right, out uint priority, out int id)
        {
            work.Pairs++;
            return rule.TryMerge(text, left, right, out priority, out id);
        }
    }
}
