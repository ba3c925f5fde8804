using LlamaCluster.Kernels.MachineCode;

namespace LlamaCluster.Kernels.Tests.MachineCode;

/// <summary>That the machine code is what its listing says. What it computes, the tests of all widths compare.</summary>
public sealed class MachineCodeTests
{
    [Fact]
    public void Code_of_blocks_is_its_listing()
    {
        foreach (var term in BlockDots.Terms)
            Assert.Equal($"{term}: {Hex(BlockDotsListing.Assemble(term))}", $"{term}: {Hex(BlockDots.Bytes(term))}");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Code_of_rows_is_its_listing(bool manyRows)
    {
        foreach (var type in RowDots.Types)
            Assert.Equal($"{type}: {Hex(RowDotsListing.Assemble(type, manyRows))}", $"{type}: {Hex(RowDots.Bytes(type, manyRows))}");
    }

    static string Hex(byte[] code) => Convert.ToHexStringLower(code);
}
