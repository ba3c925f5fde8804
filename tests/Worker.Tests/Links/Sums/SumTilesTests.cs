using LlamaCluster.Protos;
using LlamaCluster.Worker.Links.Peers;
using LlamaCluster.Worker.Links.Sums;

namespace LlamaCluster.Worker.Tests.Links.Sums;

public class SumTilesTests
{
    public static readonly TheoryData<int, int, int> Shapes = new()
    {
        { 1, 1, 1 }, { 1, 32, 2 }, { 3, 33, 2 }, { 1, 64, 3 }, { 500, 64, 3 }, { 512, 2048, 1 }, { 512, 2048, 5 }, { 7, 8192, 1 },
        { 2, 8193, 1 }, { 3, 16384, 1 }, { 3, 16384, 3 }, { 2, 100_000, 1 }, { 2, 100_000, 7 }, { 1, 1 << 20, 256 }, { 1, 4096, 256 }, { 65536, 1, 4 },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Tiles_CoverEveryValueOnce_EachInOneMessage(int rows, int width, int parts)
    {
        var covered = new byte[rows * width];
        var tiles = new SumTiles(rows, width, parts);
        for (var i = 0; i < tiles.Count; i++)
            for (var part = 0; part < parts; part++)
            {
                var tile = tiles.Part(tiles[i], part);
                Assert.InRange(tile.Bytes(ActivationType.F32), 0, IPeerLink.MaxPayload);
                Assert.InRange(tile.Bytes(ActivationType.Q8), 0, IPeerLink.MaxPayload);
                Assert.True(tile.Columns == 0 || tile.FirstColumn % 32 == 0);
                for (var row = tile.FirstRow; row < tile.FirstRow + tile.Rows; row++)
                    foreach (ref var times in covered.AsSpan(row * width + tile.FirstColumn, tile.Columns)) times++;
            }
        Assert.DoesNotContain(covered, times => times != 1);
    }

    /// <summary>The widest layers and the longest steps there are: nothing overflows.</summary>
    [Fact]
    public void Tiles_OfTheLargestStep_AreCounted()
    {
        var tiles = new SumTiles(1 << 16, 16384, 1);
        Assert.Equal(1 << 17, tiles.Count);
        Assert.Equal(new SumTile((1 << 16) - 1, 1, 8192, 8192), tiles[tiles.Count - 1]);
    }
}
