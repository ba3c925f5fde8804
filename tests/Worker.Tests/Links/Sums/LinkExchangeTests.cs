using LlamaCluster.Cluster.Activations;
using LlamaCluster.Cluster.Plans;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Links.Peers;
using LlamaCluster.Worker.Links.Ranks;
using LlamaCluster.Worker.Links.Sums;
using LlamaCluster.Worker.Tests.Links.Peers;
using Shard = LlamaCluster.Cluster.Plans.Shard;

namespace LlamaCluster.Worker.Tests.Links.Sums;

/// <summary>Ranks on threads of one process, over real links.</summary>
public class LinkExchangeTests
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
    public async Task AllReduce_OnAllRanks_IsTheSumInRankOrderInTheSameBits(int ranks, string kind, ActivationType type)
    {
        (int Rows, int Width)[] shapes = [(1, 2048), (1, 16384), (3, 100), (64, 257), (128, 2048), (1, 1)];
        await using var group = await ConnectAsync(ranks, kind, type);
        var results = await group.OnEachAsync(exchange => shapes.Select((shape, i) =>
        {
            var values = Terms(exchange.Rank, i, shape.Rows * shape.Width);
            exchange.AllReduce(values, shape.Rows, shape.Width);
            return values;
        }).ToArray()).Soon();

        foreach (var (i, (rows, width)) in shapes.Index())
        {
            var expected = Expected(ranks, i, rows, width, type);
            foreach (var result in results) Assert.True(expected.AsSpan().SequenceEqual(result[i]), $"{rows} x {width}");
        }
    }

    /// <summary>What a row becomes does not depend on the rows beside it.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public async Task AllReduce_OfARow_DoesNotDependOnTheOthers(int ranks)
    {
        const int width = 200;
        await using var group = await ConnectAsync(ranks, "tcp", ActivationType.Q8);
        var results = await group.OnEachAsync(exchange =>
        {
            var together = Terms(exchange.Rank, 0, 50 * width);
            var alone = together.AsSpan(17 * width, width).ToArray();
            exchange.AllReduce(together, 50, width);
            exchange.AllReduce(alone, 1, width);
            return together.AsSpan(17 * width, width).SequenceEqual(alone);
        }).Soon();
        Assert.All(results, Assert.True);
    }

    [Fact]
    public async Task AllReduce_WithARankThatIsElsewhere_IsRefusedByName()
    {
        await using var group = await ConnectAsync(2, "tcp", ActivationType.F32);
        var failures = await group.OnEachAsync(exchange =>
        {
            exchange.BeginStep(exchange.Rank == 0 ? 8u : 9u);
            return Record.Exception(() => exchange.AllReduce(new float[64], 1, 64));
        }).Soon();
        Assert.Contains(failures, failure => failure?.Message is
            "rank 1 sent 256 bytes of SumF32 of view 4, step 9, layer 6, half 0, chunk 0, where 256 bytes of SumF32 of view 4, step 8, layer 6, half 0, chunk 0 were due");
        Assert.All(failures, failure => Assert.IsType<PeerLinkException>(failure));
    }

    [Fact]
    public async Task AllReduce_WithALostRank_FailsOnEveryOther()
    {
        await using var group = await ConnectAsync(3, "tcp", ActivationType.F32);
        await group.LoseAsync(2);
        var failures = await group.OnEachAsync(exchange => Record.Exception(() => exchange.AllReduce(new float[640], 1, 640)), except: 2).Soon();
        Assert.All(failures, failure => Assert.IsType<PeerLinkException>(failure));
    }

    [Fact]
    public async Task AllReduce_OfOneRow_AllocatesNothing()
    {
        await using var group = await ConnectAsync(2, "tcp", ActivationType.F32);
        var allocated = await group.OnEachAsync(exchange =>
        {
            var values = new float[2048];
            for (var i = 0; i < 200; i++) exchange.AllReduce(values, 1, 2048);
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 1000; i++) exchange.AllReduce(values, 1, 2048);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }).Soon();
        Assert.Equal([0, 0], allocated);
    }

    static float[] Terms(int rank, int seed, int count)
    {
        var random = new Random(rank * 1000 + seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(4))))];
    }

    /// <summary>Plain loops: terms as messages bring them, added in rank order; with more than two ranks the sum travels, too.</summary>
    static float[] Expected(int ranks, int seed, int rows, int width, ActivationType type)
    {
        var sum = Travelled(Terms(0, seed, rows * width), width, type);
        for (var rank = 1; rank < ranks; rank++)
        {
            var term = Travelled(Terms(rank, seed, rows * width), width, type);
            for (var i = 0; i < sum.Length; i++) sum[i] += term[i];
        }
        return ranks == 2 ? sum : Travelled(sum, width, type);
    }

    static float[] Travelled(float[] values, int width, ActivationType type)
    {
        var payload = new byte[values.Length / width * ActivationCodec.RowBytes(type, width)];
        ActivationCodec.Encode(type, values, width, payload);
        ActivationCodec.Decode(type, payload, width, values);
        return values;
    }

    static async Task<TestGroup> ConnectAsync(int ranks, string kind, ActivationType type)
    {
        var group = new TestGroup(ranks, type);
        for (var rank = 0; rank < ranks; rank++)
            for (var lower = 0; lower < rank; lower++) group.Add(rank, lower, await LinkPair.ConnectAsync(kind));
        group.Connect();
        return group;
    }

    sealed class TestGroup : IAsyncDisposable
    {
        readonly LinkExchange[] _exchanges;
        readonly IPeerLink?[][] _links;
        readonly List<LinkPair> _pairs = [];

        public TestGroup(int ranks, ActivationType type)
        {
            _exchanges = [.. Enumerable.Range(0, ranks).Select(rank => new LinkExchange(
                new GroupShape(4, new string('a', 64), 1, new Shard(new LayerRange(6, 3), new TensorSlice(rank, ranks)), 64, 512, type)))];
            _links = [.. _exchanges.Select(_ => new IPeerLink?[ranks])];
        }

        public void Add(int rank, int lower, LinkPair pair)
        {
            _pairs.Add(pair);
            (_links[rank][lower], _links[lower][rank]) = (pair.First, pair.Second);
        }

        public void Connect()
        {
            foreach (var (rank, exchange) in _exchanges.Index())
            {
                exchange.Connect(_links[rank]);
                exchange.BeginStep(8);
            }
        }

        public async Task LoseAsync(int rank)
        {
            foreach (var link in _links[rank].OfType<IPeerLink>()) await link.DisposeAsync();
        }

        public Task<T[]> OnEachAsync<T>(Func<LinkExchange, T> work, int except = -1) => Task.WhenAll(_exchanges.Where(exchange => exchange.Rank != except).Select(exchange =>
            Task.Factory.StartNew(() => work(exchange), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));

        public async ValueTask DisposeAsync()
        {
            foreach (var pair in _pairs) await pair.DisposeAsync();
        }
    }
}
