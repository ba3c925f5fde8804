using LlamaCluster.Cli.Commands;

namespace LlamaCluster.Cli.Tests.Commands;

public sealed class QuantityTests
{
    [Theory]
    [InlineData("384 GB", 384e9)]
    [InlineData("1.5TiB", 1.5 * 1024 * 1024 * 1024 * 1024)]
    [InlineData(" 1 B ", 1)]
    public void Memory_has_units(string text, double bytes) => Assert.Equal(bytes, Quantity.Parse(text, Quantity.Memory));

    [Theory]
    [InlineData("25 Gbit/s", 3.125e9)]
    [InlineData("460.8 GB/s", 460.8e9)]
    public void Bits_are_an_eighth_of_a_byte(string text, double bytes) => Assert.Equal(bytes, Quantity.Parse(text, Quantity.Bandwidth));

    [Fact]
    public void Two_operations_are_one_multiply_add() => Assert.Equal(1.5e12, Quantity.Parse("3 TFLOP/s", Quantity.Compute));

    [Theory]
    [InlineData("384")]
    [InlineData("384 gb")]
    [InlineData("GB")]
    [InlineData("-1 GB")]
    [InlineData("0 GB")]
    [InlineData("1e999 GB")]
    [InlineData("1..5 GB")]
    [InlineData("NaN GB")]
    [InlineData("1 GB/s")]
    public void Anything_else_is_none(string text) => Assert.Null(Quantity.Parse(text, Quantity.Memory));
}
