using LlamaCluster.Cluster;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Weights;

public sealed class HashedChunksTests
{
    /// <summary>The head of a 405B model: 4.2 GB, more than 32 bits count.</summary>
    [Fact]
    public void Offsets_go_on_beyond_4_GB()
    {
        using var weights = new RandomWeights(ModelShape.Parse("llama-3.1-405b"), TensorType.BF16);
        var head = weights.Find(LlamaTensors.Output)!;
        var end = 0UL;
        var ends = 0;
        byte[] last = [];
        foreach (var chunk in HashedChunks.Of(weights, TensorPart.Whole(head), new string('a', 64)))
        {
            Assert.Equal(end, chunk.Offset);
            Assert.InRange(chunk.Data.Length, 1, MessageBudgets.FramePayload);
            end += (ulong)chunk.Data.Length;
            if (!chunk.LastOfTensor) continue;
            ends++;
            last = chunk.Data.Span[^(int)head.RowBytes..].ToArray();
        }
        var row = new byte[head.RowBytes];
        weights.ReadRows(head, head.Rows - 1, row);
        Assert.Equal((4_202_692_608UL, 1), (end, ends));
        Assert.Equal(row, last);
    }
}
