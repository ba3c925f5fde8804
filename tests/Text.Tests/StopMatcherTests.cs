namespace LlamaCluster.Text.Tests;

public sealed class StopMatcherTests
{
    [Fact]
    public void WithoutStopsTextPasses()
    {
        var matcher = new StopMatcher([]);
        Assert.Equal(new StopMatch("text", null), matcher.Append("text"));
        Assert.Equal("", matcher.Flush());
    }

    [Fact]
    public void HoldsBackWhatMayBeAStop()
    {
        var matcher = new StopMatcher(["\n\nUser:"]);

        Assert.Equal(new StopMatch("Hi", null), matcher.Append("Hi\n"));
        Assert.Equal(new StopMatch("", null), matcher.Append("\nUs"));
        Assert.Equal(new StopMatch("\n\nUsing ", null), matcher.Append("ing \n"));
        Assert.Equal(new StopMatch("\n", null), matcher.Append("\n\n"));
        Assert.Equal(new StopMatch("", "\n\nUser:"), matcher.Append("User: and more"));
    }

    [Fact]
    public void GivesTheHeldTextAtTheEnd()
    {
        var matcher = new StopMatcher(["stop"]);
        Assert.Equal("a", matcher.Append("asto").Text);
        Assert.Equal("sto", matcher.Flush());
        Assert.Equal("", matcher.Flush());
        Assert.Equal(new StopMatch("p", null), matcher.Append("p"));
    }

    [Fact]
    public void MayIncludeTheStop()
    {
        var matcher = new StopMatcher(["END"], includeStop: true);
        Assert.Equal("a", matcher.Append("aE").Text);
        Assert.Equal(new StopMatch("END", "END"), matcher.Append("ND!"));
    }

    [Theory]
    [InlineData("xabcx", "abc|b", "xa", "b")]
    [InlineData("xabcx", "abc|bc", "x", "abc")]
    [InlineData("xabcx", "bc|abc", "x", "abc")]
    [InlineData("ababac", "abac", "ab", "abac")]
    [InlineData("aaab", "aab", "a", "aab")]
    [InlineData("abcabd", "abcabe|bd", "abca", "bd")]
    public void TheStopThatIsCompleteFirstWinsAndOfEqualsTheLongest(string text, string stops, string before, string stop) =>
        AssertMatch(text, stops.Split('|'), before, stop);

    [Fact]
    public void AgreesWithASearchInTheWholeText()
    {
        var random = new Random(6);
        for (var round = 0; round < 3000; round++)
        {
            var stops = Enumerable.Range(0, random.Next(1, 5)).Select(_ => RandomText(random, 1, 5)).ToArray();
            var text = RandomText(random, 0, 25);
            var (end, stop) = Enumerable.Range(1, text.Length)
                .Select(end => (end, stop: stops.Where(text[..end].EndsWith).MaxBy(stop => stop.Length)))
                .FirstOrDefault(hit => hit.stop is not null);
            AssertMatch(text, stops, stop is null ? text : text[..(end - stop.Length)], stop);
        }
    }

    [Fact]
    public void NeverCutsACharacter()
    {
        var matcher = new StopMatcher(["\U0001F600!"]);
        Assert.Equal("a", matcher.Append("a\U0001F600").Text);
        Assert.Equal("\U0001F600\U0001F601", matcher.Append("\U0001F601").Text);
    }

    [Fact]
    public void RefusesStopsThatAreNoText()
    {
        foreach (var stop in (string[])["", "\uD83D", "\uDE00", "a\uDE00\uD83D", "\uD83Da"])
            Assert.Throws<ArgumentException>(() => new StopMatcher(["fine", stop]));
    }

    /// <summary>Whole, in single characters, and in random pieces.</summary>
    static void AssertMatch(string text, string[] stops, string before, string? stop)
    {
        var random = new Random(7);
        foreach (var size in (int[])[1, 2, 3, int.MaxValue])
        {
            var matcher = new StopMatcher(stops);
            var given = "";
            string? hit = null;
            for (var at = 0; at < text.Length && hit is null;)
            {
                var length = Math.Min(text.Length - at, size == int.MaxValue ? size : random.Next(1, size + 1));
                (var safe, hit) = matcher.Append(text.Substring(at, length));
                given += safe;
                Assert.StartsWith(given, before);
                at += length;
            }
            if (hit is null) given += matcher.Flush();
            Assert.Equal((before, stop), (given, hit));
        }
    }

    static string RandomText(Random random, int least, int most) =>
        string.Concat(Enumerable.Range(0, random.Next(least, most + 1)).Select(_ => "abc"[random.Next(3)]));
}
