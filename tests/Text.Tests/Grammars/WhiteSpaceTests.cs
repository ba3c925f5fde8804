using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Text.Tests.Grammars;

/// <summary>Answers of JSON do not go on with white space for ever.</summary>
public sealed class WhiteSpaceTests
{
    [Theory]
    [InlineData("{", "}")]
    [InlineData("{\"a\"", ":[]}")]
    [InlineData("{\"a\":", "[1]}")]
    [InlineData("{\"a\":[", "]}")]
    [InlineData("{\"a\":[1", ",2]}")]
    [InlineData("{\"a\":[1,", "2]}")]
    [InlineData("{\"a\":[1]", "}")]
    public void Between_two_parts_there_is_room_for_ten_levels_and_an_end_of_it(string before, string after)
    {
        var probes = new[] { GrammarProbe.Of(GrammarSource.AnyObject), GrammarProbe.OfSchema("""{"type":"object","properties":{"a":{"type":"array"}}}""") };
        foreach (var probe in probes)
        {
            Assert.True(probe.Accepts($"{before}\n{new string(' ', 40)}{after}"));
            Assert.True(probe.Begins(before + new string('\t', 41)));
            Assert.False(probe.Begins(before + new string('\n', 42)));
        }
    }

    [Fact]
    public void Constants_have_an_end_of_it_too()
    {
        var probe = GrammarProbe.OfSchema("""{"const":{"a":[1,2]}}""");
        Assert.True(probe.Accepts("{\n  \"a\": [\n    1,\n    2\n  ]\n}"));
        Assert.False(probe.Begins("{" + new string(' ', 42)));
    }

    [Theory]
    [InlineData("float")]
    [InlineData("double")]
    public void Formats_of_numbers_without_a_range_go_with_their_type(string format)
        => Assert.True(GrammarProbe.OfSchema($$"""{"type":"number","format":"{{format}}"}""").Accepts("1.5"));

    [Theory]
    [InlineData("int32", "-2147483648", "2147483648")]
    [InlineData("int64", "9223372036854775807", "1.5")]
    [InlineData("double", "1.5e3", "\"1\"")]
    [InlineData("date", "\"2020-01-01\"", "3")]
    public void A_format_without_a_type_says_what_type_there_is(string format, string allowed, string refused)
    {
        var probe = GrammarProbe.OfSchema($$"""{"format":"{{format}}"}""");
        Assert.True(probe.Accepts(allowed));
        Assert.False(probe.Accepts(refused));
    }
}
