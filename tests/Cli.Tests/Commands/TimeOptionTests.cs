using System.CommandLine;
using LlamaCluster.Cli.Commands;

namespace LlamaCluster.Cli.Tests.Commands;

public sealed class TimeOptionTests
{
    readonly TimeOption _option = new("--recovery-timeout", "how long", TimeSpan.FromSeconds(60));

    [Theory]
    [InlineData("90", 90)]
    [InlineData("90s", 90)]
    [InlineData("0.5", 0.5)]
    [InlineData("250ms", 0.25)]
    [InlineData("10min", 600)]
    [InlineData("2 h", 7200)]
    public void Seconds_stand_alone_or_have_a_unit(string text, double seconds)
    {
        var parsed = new RootCommand { _option }.Parse(["--recovery-timeout", text]);
        Assert.Empty(parsed.Errors);
        Assert.Equal(seconds, _option.In(parsed).TotalSeconds);
    }

    [Fact]
    public void Without_it_there_is_a_default() => Assert.Equal(60, _option.In(new RootCommand { _option }.Parse([])).TotalSeconds);

    [Theory]
    [InlineData("0")]
    [InlineData("-5")]
    [InlineData("soon")]
    [InlineData("5 days")]
    [InlineData("1e300h")]
    public void Anything_else_is_named(string text)
    {
        var error = Assert.Single(new RootCommand { _option }.Parse(["--recovery-timeout", text]).Errors);
        Assert.StartsWith($"--recovery-timeout is '{text}'; it must be a number of seconds such as 60", error.Message);
    }
}
