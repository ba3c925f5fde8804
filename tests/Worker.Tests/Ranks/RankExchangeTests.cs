using LlamaCluster.Cluster.Activations;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Ranks;

namespace LlamaCluster.Worker.Tests.Ranks;

/// <summary>Ranks on threads of one process, over real links.</summary>
public class RankExchangeTests
{
    [Theory]
    [InlineData(2, "tcp", ActivationType.F32)]
    [InlineData(2, "tcp", ActivationType.Bf16)]
    [InlineData(2, "tls", ActivationType.Q8)]
    [InlineData(2, "grpc", ActivationType.F32)]
    [InlineData(3, "tcp", ActivationType.F32)]
    [InlineData(3, "grpc", ActivationType.Q8)]
    [InlineData(5, "tcp", ActivationType.F32)]
    [InlineData(5, "tcp", ActivationType.Bf16)]
    [InlineData(5, "tcp", ActivationType.Q8)]
    [InlineData(2, "shm", ActivationType.F32)]
    [InlineData(3, "shm", ActivationType.Q8)]
    public async Task Sum_OnAllRanks_IsTheSumInRankOrderInTheSameBits(int ranks, string kind, ActivationType type)
    {
        int[] lengths = [2048, 16384, 300, 64 * 257, 128 * 2048, 1, 31, 33];
        await using var group = await ConnectAsync(ranks, kind, type);
        var results = await group.OnEachAsync(exchange => lengths.Select((length, i) =>
        {
            var values = Terms(exchange.Rank, i, length);
            Sum(exchange, values);
            return values;
        }).ToArray()).Soon();

        foreach (var (i, length) in lengths.Index())
        {
            var expected = Expected(ranks, i, length, type);
            foreach (var result in results) Assert.True(expected.AsSpan().SequenceEqual(result[i]), $"{length} numbers");
        }
    }

    [Theory]
    [InlineData(2, "tcp", 2048)]
    [InlineData(2, "tcp", 200_000)]
    [InlineData(2, "grpc", 200_000)]
    [InlineData(3, "tcp", 2048)]
    [InlineData(3, "tcp", 200_000)]
    [InlineData(2, "shm", 200_000)]
    public async Task Sums_BegunAheadOfOthers_AreTheSame(int ranks, string kind, int length)
    {
        const int rounds = 3;
        await using var group = await ConnectAsync(ranks, kind, ActivationType.F32);
        var results = await group.OnEachAsync(exchange =>
        {
            float[][] sums = [.. Enumerable.Range(0, rounds * IRankExchange.MaxSumsUnderWay).Select(seed => Terms(exchange.Rank, seed, length))];
            foreach (var open in sums.Chunk(IRankExchange.MaxSumsUnderWay))
            {
                foreach (var sum in open) exchange.BeginSum(sum);
                foreach (var sum in open) exchange.CompleteSum(sum);
            }
            return sums;
        }).Soon();
        foreach (var result in results)
            foreach (var (seed, sum) in result.Index())
                Assert.True(Expected(ranks, seed, length, ActivationType.F32).AsSpan().SequenceEqual(sum));
    }

    /// <summary>What a row becomes does not depend on the rows beside it.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Sum_OfARow_DoesNotDependOnTheOthers(int ranks)
    {
        const int width = 224;
        await using var group = await ConnectAsync(ranks, "tcp", ActivationType.Q8);
        var results = await group.OnEachAsync(exchange =>
        {
            var together = Terms(exchange.Rank, 0, 500 * width);
            var alone = together.AsSpan(177 * width, width).ToArray();
            Sum(exchange, together);
            Sum(exchange, alone);
            return together.AsSpan(177 * width, width).SequenceEqual(alone);
        }).Soon();
        Assert.All(results, Assert.True);
    }

    [Theory]
    [InlineData(2, "tcp")]
    [InlineData(3, "grpc")]
    [InlineData(5, "tcp")]
    [InlineData(2, "shm")]
    public async Task AllGather_OfAnyLengths_GivesEveryRankAllMessages(int ranks, string kind)
    {
        await using var group = await ConnectAsync(ranks, kind, ActivationType.F32);
        int Length(int rank, int round) => round == 0 ? 0 : (rank * 7919 + round * 40_000) % 150_000;
        var results = await group.OnEachAsync(exchange => Enumerable.Range(0, 6).All(round =>
        {
            exchange.AllGather(Message(exchange.Rank, round));
            Sum(exchange, new float[100]);
            return Enumerable.Range(0, ranks).All(rank => exchange.Gathered(rank).SequenceEqual(Message(rank, round)));
        })).Soon();
        Assert.All(results, Assert.True);

        byte[] Message(int rank, int round) => [.. Enumerable.Range(0, Length(rank, round)).Select(i => (byte)(i + rank + round))];
    }

    [Fact]
    public async Task Sum_WithARankThatIsElsewhere_IsRefusedByName()
    {
        await using var group = await ConnectAsync(2, "tcp", ActivationType.F32);
        var failures = await group.OnEachAsync(exchange =>
        {
            exchange.BeginStep(exchange.Rank == 0 ? 8u : 9u);
            return Record.Exception(() => Sum(exchange, new float[64]));
        }).Soon();
        Assert.Contains(failures, failure => failure?.Message is
            "rank 1 sent SumF32 of view 4, step 9, exchange 0, chunk 0, where SumF32 of view 4, step 8, exchange 0, chunk 0 was due");
        Assert.All(failures, failure => Assert.IsType<RankLostException>(failure));
    }

    [Fact]
    public async Task Sum_WithALostRank_FailsOnEveryOther()
    {
        await using var group = await ConnectAsync(3, "tcp", ActivationType.F32);
        await group.LoseAsync(2);
        var failures = await group.OnEachAsync(exchange => Record.Exception(() => Sum(exchange, new float[640])), except: 2).Soon();
        Assert.All(failures, failure => Assert.IsType<RankLostException>(failure));
    }

    [Theory]
    [InlineData(2, ActivationType.F32)]
    [InlineData(3, ActivationType.F32)]
    [InlineData(3, ActivationType.Q8)]
    public async Task Sum_OfOneRow_AllocatesNothing(int ranks, ActivationType type)
    {
        await using var group = await ConnectAsync(ranks, "tcp", type);
        var allocated = await group.OnEachAsync(exchange =>
        {
            var values = new float[2048];
            for (var i = 0; i < 200; i++) Sum(exchange, values);
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 1000; i++) Sum(exchange, values);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }).Soon();
        Assert.All(allocated, bytes => Assert.Equal(0, bytes));
    }

    static float[] Terms(int rank, int seed, int count)
    {
        var random = new Random(rank * 1000 + seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(4))))];
    }

    static void Sum(RankExchange exchange, Span<float> values)
    {
        exchange.BeginSum(values);
        exchange.CompleteSum(values);
    }

    /// <summary>Plain loops: terms as messages bring them, added in rank order; with more than two ranks the sum travels, too.</summary>
    static float[] Expected(int ranks, int seed, int length, ActivationType type)
    {
        var sum = Travelled(Terms(0, seed, length), type);
        for (var rank = 1; rank < ranks; rank++)
        {
            var term = Travelled(Terms(rank, seed, length), type);
            for (var i = 0; i < sum.Length; i++) sum[i] += term[i];
        }
        return ranks == 2 ? sum : Travelled(sum, type);
    }

    static float[] Travelled(float[] values, ActivationType type)
    {
        var payload = new byte[ActivationCodec.RowBytes(type, values.Length)];
        ActivationCodec.Encode(type, values, values.Length, payload);
        ActivationCodec.Decode(type, payload, values.Length, values);
        return values;
    }

    static Task<ExchangeGroup> ConnectAsync(int ranks, string kind, ActivationType type) => ExchangeGroup.ConnectAsync(ranks, kind, type);
}
