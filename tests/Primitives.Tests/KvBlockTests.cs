namespace LlamaCluster.Primitives.Tests;

public sealed class KvBlockTests
{
    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    [InlineData(16, 1)]
    [InlineData(17, 2)]
    [InlineData(4096, 256)]
    public void Blocks_are_counted_up_to_the_last_position(int positions, int blocks) => Assert.Equal(blocks, KvBlock.CountFor(positions));
}
