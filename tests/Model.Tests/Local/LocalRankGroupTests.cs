using LlamaCluster.Model.Local;
using LlamaCluster.Model.Ranks;

namespace LlamaCluster.Model.Tests.Local;

public class LocalRankGroupTests
{
    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task CompleteSum_OfSeveralUnderWay_AddsInTheOrderOfRanks()
    {
        const int rankCount = 3, sums = 50;
        using var group = new LocalRankGroup(rankCount, Deadline);

        var results = await RunAsync(group, exchange =>
        {
            var all = new List<float>();
            for (var sum = 0; sum < sums; sum += 2)
            {
                float[] first = [PartOf(exchange.Rank, sum), 1], second = [PartOf(exchange.Rank, sum + 1)];
                exchange.BeginSum(first);
                exchange.BeginSum(second);
                exchange.CompleteSum(first);
                exchange.CompleteSum(second);
                Assert.Equal(rankCount, first[1]);
                all.AddRange([first[0], second[0]]);
            }
            return all.ToArray();
        });

        float[] expected = [.. Enumerable.Range(0, sums).Select(sum => PartOf(0, sum) + PartOf(1, sum) + PartOf(2, sum))];
        Assert.All(results, result => Assert.Equal(expected, result));
    }

    [Fact]
    public async Task AllGather_MessagesOfAnyLength_ReachAllRanks()
    {
        using var group = new LocalRankGroup(4, Deadline);

        var results = await RunAsync(group, exchange =>
        {
            var all = new List<string>();
            for (byte round = 0; round < 20; round++)
            {
                exchange.AllGather([.. Enumerable.Repeat((byte)(exchange.Rank + round), exchange.Rank * round)]);
                all.AddRange(Enumerable.Range(0, 4).Select(rank => Convert.ToHexString(exchange.Gathered(rank))));
            }
            return all.ToArray();
        });

        Assert.Equal(["", "0606060606", "07070707070707070707", "080808080808080808080808080808"], results[0][20..24]);
        Assert.All(results, result => Assert.Equal(results[0], result));
    }

    [Fact]
    public async Task CompleteSum_WithoutTheOthers_EndsWithinTheDeadline()
    {
        using var group = new LocalRankGroup(2, TimeSpan.FromMilliseconds(20));
        var (alone, _) = (group.Join(0), group.Join(1));

        await Assert.ThrowsAsync<RankLostException>(() => Task.Run(() =>
        {
            alone.BeginSum([1]);
            alone.CompleteSum(new float[1]);
        }));
    }

    [Fact]
    public async Task CompleteSum_PartsOfDifferentLength_AreRefused()
    {
        using var group = new LocalRankGroup(2, Deadline);

        await Assert.ThrowsAsync<RankLostException>(() => RunAsync(group, exchange =>
        {
            var part = new float[exchange.Rank + 1];
            exchange.BeginSum(part);
            exchange.CompleteSum(part);
            return part;
        }));
    }

    static float PartOf(int rank, int sum) => 1 / (1f + rank + (7 * sum));

    static Task<T[]> RunAsync<T>(LocalRankGroup group, Func<IRankExchange, T> run)
    {
        IRankExchange[] ranks = [.. Enumerable.Range(0, group.RankCount).Select(group.Join)];
        return Task.WhenAll(ranks.Select(rank => Task.Factory.StartNew(
            () => run(rank), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
    }
}
