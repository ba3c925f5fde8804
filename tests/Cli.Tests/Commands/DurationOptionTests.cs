using System.CommandLine;
using LlamaCluster.Cli.Commands;

namespace LlamaCluster.Cli.Tests.Commands;

public class DurationOptionTests
{
    const string Form = "a number of seconds such as 60, or one with a unit (ns, us, ms, s, min, h, d) such as 90s or 10min.";

    readonly DurationOption _option = new("--hold", "how long", TimeSpan.FromMinutes(10));
    readonly DurationOption _orZero = new("--hold", "how long", TimeSpan.FromMinutes(10), orZero: true);

    [Theory]
    [InlineData("90", 90)]
    [InlineData("0.5", 0.5)]
    [InlineData("1.5s", 1.5)]
    [InlineData("90 s", 90)]
    [InlineData("250ms", 0.25)]
    [InlineData("2min", 120)]
    [InlineData("3h", 10_800)]
    [InlineData("30d", 2_592_000)]
    public void Value_IsSecondsOrHasAUnit(string written, double seconds) => Assert.Equal(TimeSpan.FromSeconds(seconds), _option.In(Parse(_option, written)));

    [Fact]
    public void Value_ThatIsNotGiven_IsTheDefault() => Assert.Equal(TimeSpan.FromMinutes(10), _option.In(new RootCommand { _option }.Parse([])));

    [Fact]
    public void Zero_IsATimeWhereItMayBe() => Assert.Equal(TimeSpan.Zero, _orZero.In(Parse(_orZero, "0")));

    [Theory]
    [InlineData("0")]
    [InlineData("-5")]
    [InlineData("soon")]
    [InlineData("5 weeks")]
    [InlineData("1e300h")]
    [InlineData("s")]
    [InlineData("")]
    public void Value_OfAnotherForm_IsRefusedByName(string written)
    {
        Assert.Equal($"--hold is '{written}'; it must be {Form}", Assert.Single(Parse(_option, written).Errors).Message);
        if (written != "0") Assert.Equal($"--hold is '{written}'; it must be 0, {Form}", Assert.Single(Parse(_orZero, written).Errors).Message);
    }

    [Theory]
    [InlineData(0.25, "250ms")]
    [InlineData(60, "1min")]
    [InlineData(90, "90s")]
    [InlineData(2_592_000, "30d")]
    [InlineData(0, "0")]
    public void Default_IsWrittenWithItsUnit(double seconds, string written)
        => Assert.Equal(
            written, new RootCommand { new DurationOption("--hold", "", TimeSpan.FromSeconds(seconds), orZero: true) }.Parse([]).GetValue<string>("--hold"));

    static ParseResult Parse(DurationOption option, string written) => new RootCommand { option }.Parse(["--hold", written]);
}
