using LlamaCluster.Cli.Commands;

namespace LlamaCluster.Cli.Tests.Commands;

public sealed class AmountTests
{
    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(999, "999 B")]
    [InlineData(1_500, "1.50 kB")]
    [InlineData(24_000_000_000, "24.0 GB")]
    [InlineData(1.5e15, "1,500 TB")]
    public void Bytes(double bytes, string expected) => Assert.Equal(expected, Amount.Bytes(bytes));

    [Theory]
    [InlineData(2.5e-5, "25.0 µs")]
    [InlineData(0.9999e-3, "1.00 ms")]
    [InlineData(0.35, "350 ms")]
    [InlineData(12.34, "12.3 s")]
    [InlineData(200, "3 min 20 s")]
    [InlineData(7500, "2 h 5 min")]
    [InlineData(360_000, "4 d 4 h")]
    public void Seconds(double seconds, string expected) => Assert.Equal(expected, Amount.Seconds(seconds));

    [Theory]
    [InlineData(0.0, "0 %")]
    [InlineData(0.004, "<1 %")]
    [InlineData(0.5, "50 %")]
    [InlineData(null, "–")]
    public void Percent(double? part, string expected) => Assert.Equal(expected, Amount.Percent(part));

    [Fact]
    public void Links_are_in_bits() => Assert.Equal("10.0 Gbit/s", Amount.BitRate(1.25e9));
}
