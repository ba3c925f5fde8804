using LlamaCluster.Model.Ranks;

namespace LlamaCluster.Model.Tests.Ranks;

public class SumPartsTests
{
    [Fact]
    public void Any_sum_is_cut_into_parts_that_cover_it_once_and_start_at_blocks()
    {
        foreach (var width in new[] { 8, 64, 100, 288, 2048, 16_384, 1 << 20 })
            foreach (var rows in new[] { 1, 2, 7, 64, 256, 4096 })
            {
                var parts = new SumParts(width, rows, rankCount: 3);
                Assert.InRange(parts.Count, 1, IRankExchange.MaxSumsUnderWay);
                var end = 0;
                for (var i = 0; i < parts.Count; i++)
                {
                    Assert.Equal((end, 0), (parts[i].First, parts[i].First % 32));
                    Assert.True(parts[i].Count > 0);
                    end = parts[i].End;
                }
                Assert.Equal(width, end);
            }
    }

    [Fact]
    public void One_message_where_two_would_be_slower()
    {
        Assert.Equal(1, new SumParts(2048, 1, 2).Count);
        Assert.Equal(2, new SumParts(16_384, 1, 2).Count);
        Assert.Equal(4, new SumParts(2048, 64, 2).Count);
        Assert.Equal(1, new SumParts(16_384, 256, 1).Count);
    }
}
