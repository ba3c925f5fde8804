using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Text.Answers;
using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>The form of answers that must call functions, and that what it allows is read as calls.</summary>
public sealed class AnswerGrammarTests
{
    static readonly FunctionTool[] Functions =
    [
        new("weather", null, new JsonObject { ["type"] = "object" }, Strict: true),
        new("now", "The time", [], Strict: false),
    ];

    [Theory]
    [InlineData(ToolFormat.LlamaJson, "; ")]
    [InlineData(ToolFormat.Pythonic, "; ")]
    [InlineData(ToolFormat.FunctionTags, "\n")]
    [InlineData(ToolFormat.Hermes, "\n")]
    public void Calls_that_are_enforced_are_calls_that_are_found(ToolFormat format, string separator)
    {
        var source = AnswerGrammar.SourceOf(Functions, several: true, format);
        Assert.Equal(GrammarKind.Tags, source.Kind);
        var written = JsonNode.Parse(source.Text)!;
        Assert.Equal((separator, 0), ((string?)written["separator"], (int)written["most"]!));
        var tags = written["tags"]!.AsArray();
        Assert.Equal("""{"type":"object"}""", tags[0]!["schema"]!.ToJsonString());

        var answer = string.Join(separator, tags.Select(tag => $"{(string?)tag!["begin"]}{{\"a\": 1}}{(string?)tag["end"]}"));
        var parser = new AnswerParser(new(format, Functions.Select(function => function.Name).ToHashSet(), SingleCall: false, ReasoningPlace.None));
        IReadOnlyList<AnswerPiece> pieces = [.. parser.Append(answer), .. parser.End()];
        Assert.Equal(["weather", "now"], pieces.OfType<AnswerPiece.CallBegun>().Select(call => call.Name));
        Assert.Equal("""{"a": 1}{"a": 1}""", string.Concat(pieces.OfType<AnswerPiece.CallArguments>().Select(piece => piece.Json)));
        Assert.Empty(pieces.OfType<AnswerPiece.Text>());
    }

    [Fact]
    public void One_call_is_enforced_where_there_may_be_one()
        => Assert.Equal(1, (int)JsonNode.Parse(AnswerGrammar.SourceOf(Functions, several: false, ToolFormat.LlamaJson).Text)!["most"]!);
}
