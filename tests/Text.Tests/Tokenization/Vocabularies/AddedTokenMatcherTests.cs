using System.Text;
using LlamaCluster.Text.Tokenization.Vocabularies;

namespace LlamaCluster.Text.Tests.Tokenization.Vocabularies;

public sealed class AddedTokenMatcherTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("nothing", "")]
    [InlineData("<a>", "0:0-3")]
    [InlineData("x<a><ab>y", "0:1-4 1:4-8")]
    [InlineData("<a<a>", "0:2-5")]
    [InlineData("<<<ab>", "1:2-6")]
    [InlineData("<ab", "")]
    [InlineData(":::", "3:0-3")]
    [InlineData("::::", "3:0-3")]
    [InlineData(":: :", "2:0-2")]
    public void FindsTheLeftmostAndOfThoseTheLongest(string text, string expected) =>
        Assert.Equal(expected, Find(text, Plain("<a>"), Plain("<ab>"), Plain("::"), Plain(":::")));

    [Theory]
    [InlineData("a word b", "0:2-6")]
    [InlineData("word", "0:0-4")]
    [InlineData("sword word_ word1 wordé é-word-", "0:28-32")]
    [InlineData("wordword word", "0:9-13")]
    public void ASingleWordStandsAlone(string text, string expected) => Assert.Equal(expected, Find(text, Plain("word") with { SingleWord = true }));

    [Theory]
    [InlineData("a \t<m>\u00A0\nb", "0:1-9")]
    [InlineData("<m> <m>", "0:0-4 0:4-7")]
    [InlineData("x<m>y", "0:1-4")]
    public void SpacesGoWithATokenThatStripsThem(string text, string expected) =>
        Assert.Equal(expected, Find(text, Plain("<m>") with { StripsLeft = true, StripsRight = true }));

    [Fact]
    public void ATextOfManyBeginningsIsReadOnce()
    {
        var matcher = new AddedTokenMatcher([Plain("<|start_header_id|>") with { Id = 1 }, Plain("<|start") with { Id = 2 }]);
        var text = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("<|start_header_id", 5000)));
        var count = 0;
        for (var at = 0; matcher.TryFindNext(text, at, [], out var match); at = match.End) count++;
        Assert.Equal(5000, count);
    }

    static AddedToken Plain(string written) => new(0, written) { IsSpecial = true };

    static string Find(string text, params AddedToken[] tokens)
    {
        var matcher = new AddedTokenMatcher(tokens.Select((token, id) => token with { Id = id }));
        var bytes = Encoding.UTF8.GetBytes(text);
        List<string> found = [];
        for (var at = 0; matcher.TryFindNext(bytes, at, [], out var match); at = match.End) found.Add($"{match.Id}:{match.Start}-{match.End}");
        return string.Join(' ', found);
    }
}
