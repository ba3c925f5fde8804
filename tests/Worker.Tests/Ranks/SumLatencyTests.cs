using System.Collections.Concurrent;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Ranks;

namespace LlamaCluster.Worker.Tests.Ranks;

/// <summary>
/// How many ways of a message, one after the other, a sum waits for: what it takes on a link that is slow to deliver. Counted by the ranks' own
/// clocks, so that it does not depend on the machine.
/// </summary>
public sealed class SumLatencyTests
{
    /// <summary>Two ranks send all of a short sum at once; more need a way to those who add and one back. Of a long one several chunks are under way.</summary>
    [Theory]
    [InlineData(2, 1, 1)]
    [InlineData(2, 12, 3)]
    [InlineData(3, 1, 2)]
    [InlineData(3, 12, 7)]
    [InlineData(5, 12, 7)]
    public async Task A_sum_waits_for_few_of_its_chunks(int ranks, int chunks, int ways)
    {
        var values = chunks * SumChunks.MessageValues * (ranks == 2 ? 1 : ranks);

        Assert.All(await RunAsync(ranks, (exchange, _) =>
        {
            var own = new float[values];
            exchange.BeginSum(own);
            exchange.CompleteSum(own);
        }), time => Assert.Equal(ways, time));
    }

    /// <summary>Each part of a product takes as long as a message: all but the last are on their way, or there, when the last is computed.</summary>
    [Theory]
    [InlineData(2, 1)]
    [InlineData(3, 2)]
    [InlineData(5, 2)]
    public async Task Parts_travel_while_the_next_are_computed(int ranks, int ways)
    {
        Assert.All(await RunAsync(ranks, (exchange, clock) =>
        {
            float[][] parts = [.. Enumerable.Range(0, IRankExchange.MaxSumsUnderWay).Select(_ => new float[SumChunks.MessageValues])];
            foreach (var part in parts)
            {
                clock.Work(1);
                exchange.BeginSum(part);
            }
            foreach (var part in parts) exchange.CompleteSum(part);
        }), time => Assert.Equal(IRankExchange.MaxSumsUnderWay + ways, time));
    }

    /// <returns>What each rank's clock says at the end.</returns>
    static async Task<int[]> RunAsync(int ranks, Action<RankExchange, RankClock> work)
    {
        RankClock[] clocks = [.. Enumerable.Range(0, ranks).Select(_ => new RankClock())];
        await using var group = await ExchangeGroup.ConnectAsync(ranks, "tcp", ActivationType.F32, (one, other) =>
        {
            var (up, down) = (new ConcurrentQueue<int>(), new ConcurrentQueue<int>());
            return (new ClockedLink(one.Link, clocks[one.Rank], up, down), new ClockedLink(other.Link, clocks[other.Rank], down, up));
        });
        return await group.OnEachAsync(exchange =>
        {
            work(exchange, clocks[exchange.Rank]);
            return clocks[exchange.Rank].Now;
        }).Soon();
    }
}
