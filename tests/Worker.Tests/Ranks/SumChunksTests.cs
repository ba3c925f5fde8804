
using LlamaCluster.Worker.Ranks;

namespace LlamaCluster.Worker.Tests.Ranks;

public class SumChunksTests
{
    public static readonly TheoryData<int, int> Shapes = new()
    {
        { 1, 1 }, { 32, 2 }, { 33, 2 }, { 64, 3 }, { 8192, 1 }, { 8193, 1 }, { 16384, 2 }, { 16385, 2 },
        { 100_000, 7 }, { 1 << 20, 256 }, { 4096, 256 }, { 31, 5 },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Parts_CoverEveryNumberOnce_EachInOneMessage(int length, int parts)
    {
        var chunks = new SumChunks(length, parts);
        var next = 0;
        for (var chunk = 0; chunk < chunks.Count; chunk++)
            for (var part = 0; part < parts; part++)
            {
                var range = chunks.Part(chunk, part);
                Assert.Equal(next, range.First);
                Assert.InRange(range.Count, 0, SumChunks.MessageValues);
                Assert.True(range.Count == 0 || range.First % 32 == 0);
                next += range.Count;
            }
        Assert.Equal(length, next);
    }

    /// <summary>The longest that an array can be: nothing overflows.</summary>
    [Fact]
    public void Chunks_OfTheLongestSum_AreCounted()
    {
        var chunks = new SumChunks(int.MaxValue, 3);
        Assert.Equal((int)Math.Ceiling(int.MaxValue / (3.0 * SumChunks.MessageValues)), chunks.Count);
        var last = chunks.Part(chunks.Count - 1, 2);
        Assert.Equal(int.MaxValue, last.First + last.Count);
    }
}
