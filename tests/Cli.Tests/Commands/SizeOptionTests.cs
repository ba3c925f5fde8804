using System.CommandLine;
using LlamaCluster.Cli.Commands;

namespace LlamaCluster.Cli.Tests.Commands;

public sealed class SizeOptionTests
{
    [Theory]
    [InlineData("8000000000", 8_000_000_000)]
    [InlineData("8GB", 8_000_000_000)]
    [InlineData("8 GB", 8_000_000_000)]
    [InlineData("8GiB", 8L << 30)]
    [InlineData("7.5GiB", 15L << 29)]
    [InlineData("512MB", 512_000_000)]
    [InlineData("0", 0)]
    public void Bytes_stand_alone_or_have_a_unit(string text, long bytes)
    {
        var option = SizeOption.Create("--memory", "memory");
        var parsed = new RootCommand { option }.Parse(["--memory", text]);
        Assert.Empty(parsed.Errors);
        Assert.Equal(bytes, parsed.GetValue(option));
    }
}
