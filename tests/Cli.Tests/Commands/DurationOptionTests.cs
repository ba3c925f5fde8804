using System.CommandLine;
using LlamaCluster.Cli.Commands;

namespace LlamaCluster.Cli.Tests.Commands;

public class DurationOptionTests
{
    readonly DurationOption _option = new("--hold", "how long", otherwise: "10min");

    [Theory]
    [InlineData("0", 0)]
    [InlineData("1.5s", 1.5)]
    [InlineData("90 s", 90)]
    [InlineData("250ms", 0.25)]
    [InlineData("2min", 120)]
    [InlineData("3h", 10_800)]
    public void Value_WithAUnit_IsThatTime(string written, double seconds) => Assert.Equal(TimeSpan.FromSeconds(seconds), _option.In(Parse("--hold", written)));

    [Fact]
    public void Value_ThatIsNotGiven_IsTheDefault() => Assert.Equal(TimeSpan.FromMinutes(10), _option.In(Parse()));

    [Theory]
    [InlineData("5")]
    [InlineData("5 days")]
    [InlineData("-1s")]
    [InlineData("s")]
    [InlineData("")]
    public void Value_OfAnotherForm_IsRefusedByName(string written) => Assert.Equal(
        $"--hold is '{written}'; it must be 0, or a number and one of ms, s, min, h, such as 90s or 10min.", Assert.Single(Parse("--hold", written).Errors).Message);

    ParseResult Parse(params string[] args) => new RootCommand { _option }.Parse(args);
}
