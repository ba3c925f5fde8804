using System.Text.Json;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Automata;

namespace LlamaCluster.Text.Tests.Grammars;

/// <summary>Lists of many texts, and long constants.</summary>
public sealed class LargeConstantTests
{
    static readonly string[] Names = [.. Enumerable.Range(0, 20_000).Select(i => $"name {i} of {i * 7919 % 20_000}")];

    [Fact]
    public void AChoiceMayHaveAllTheTextsThatItMayHave()
    {
        var probe = GrammarProbe.Of(new(GrammarKind.Choice, JsonSerializer.Serialize(Names)));
        foreach (var name in Names.Where((_, i) => i % 997 == 0)) Assert.True(probe.Accepts(name) && !probe.Accepts($"{name}x"));
        Assert.True(probe.Begins("name 1") && !probe.Begins("name x"));
    }

    [Fact]
    public void SoMayAnEnumWithWhateverStandsBesideIt()
    {
        var listed = Names.Select(object (name) => name).Take(19_000).Concat([true, null!, 5, new[] { 1, 2 }, new { a = 1 }]);
        var probe = GrammarProbe.OfSchema(JsonSerializer.Serialize(new { @enum = listed }));
        Assert.All(new[] { $"\"{Names[18_999]}\"", "true", "null", "5", "[1, 2]", "{\"a\": 1}" }, text => Assert.True(probe.Accepts(text), text));
        Assert.False(probe.Accepts($"\"{Names[19_000]}\""));
        var some = GrammarProbe.OfSchema(JsonSerializer.Serialize(new { @enum = listed, type = "string", maxLength = 25 }));
        Assert.False(some.Accepts("5"));
    }

    [Theory]
    [InlineData(500)]
    [InlineData(2_000)]
    public void AConstantMayBeLong(int elements)
    {
        var list = Enumerable.Range(0, elements).Select(i => new { id = i, text = $"element {i}" }).ToArray();
        foreach (var schema in new object[] { new { @const = list }, new { @enum = new[] { list, list[..1] } } })
        {
            var probe = GrammarProbe.OfSchema(JsonSerializer.Serialize(schema));
            Assert.True(probe.Accepts(JsonSerializer.Serialize(list)));
            Assert.False(probe.Accepts(JsonSerializer.Serialize(list[..^1])));
        }
    }

    [Fact]
    public void TwoListsThatAreTooLongToBeComparedAreRefusedInTime()
    {
        var one = JsonSerializer.Serialize(Enumerable.Range(0, 20_000));
        var begun = TimeProvider.System.GetTimestamp();
        Assert.Contains("too much work", GrammarProbe.SchemaRefusal($$"""{"allOf":[{"enum":{{one}}},{"enum":{{one}}}]}"""));
        Assert.InRange(TimeProvider.System.GetElapsedTime(begun), TimeSpan.Zero, TimeSpan.FromSeconds(20));   // tests share the machine
    }

    [Fact]
    public void TextsAreToldApartToTheirEnds()
    {
        var lexeme = new TextsLexeme(["ab", "abc", "b", "ab", "é"], new WorkBudget());
        bool? Ends(string text)
        {
            var state = lexeme.Start;
            foreach (var value in System.Text.Encoding.UTF8.GetBytes(text))
                if ((state = lexeme.Next(state, value)) < 0) return null;
            return lexeme.IsFinal(state);
        }
        Assert.Equal(
            [false, true, true, true, true],
            new[] { "a", "ab", "abc", "b", "é" }.Select(text => Ends(text) ?? throw new InvalidOperationException(text)));
        Assert.All(["c", "abcd", "ba", "è"], text => Assert.Null(Ends(text)));
        Assert.False(lexeme.GoesOn(lexeme.Next(lexeme.Start, (byte)'b')));
        Assert.Equal(lexeme.MaskKey(0, 8), new TextsLexeme(["b", "é", "abc", "ab", "ab"], new WorkBudget()).MaskKey(0, 8));
        Assert.NotEqual(lexeme.MaskKey(0, 8), new TextsLexeme(["b", "é", "abc", "a"], new WorkBudget()).MaskKey(0, 8));
    }
}
