using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Peers;
using LlamaCluster.Worker.Ranks;
using LlamaCluster.Worker.Tests.Fakes;
using LlamaCluster.Worker.Tests.Peers;
using Shard = LlamaCluster.Planning.Plans.Shard;

namespace LlamaCluster.Worker.Tests.Ranks;

/// <summary>Ranks on threads of one process, over real links, at the beginning of step 8 of view 4.</summary>
sealed class ExchangeGroup : IAsyncDisposable
{
    readonly RankExchange[] _exchanges;
    readonly IPeerLink?[][] _links;
    readonly List<LinkPair> _pairs = [];

    ExchangeGroup(int ranks, ActivationType type)
    {
        _exchanges = [.. Enumerable.Range(0, ranks).Select(rank => new RankExchange(
            new GroupShape(4, new string('a', 64), 1, new Shard(new LayerRange(6, 3), new TensorSlice(rank, ranks)), 64, 512, type) { Key = TestKeys.View }))];
        _links = [.. _exchanges.Select(_ => new IPeerLink?[ranks])];
    }

    /// <param name="change">What both ends of a link become, of a higher and a lower rank; null: they stay as they are.</param>
    public static async Task<ExchangeGroup> ConnectAsync(
        int ranks, string kind, ActivationType type, Func<(int Rank, IPeerLink Link), (int Rank, IPeerLink Link), (IPeerLink, IPeerLink)>? change = null)
    {
        var group = new ExchangeGroup(ranks, type);
        for (var rank = 0; rank < ranks; rank++)
            for (var lower = 0; lower < rank; lower++)
            {
                var pair = await LinkPair.ConnectAsync(kind);
                group._pairs.Add(pair);
                (group._links[rank][lower], group._links[lower][rank]) = change?.Invoke((rank, pair.First), (lower, pair.Second)) ?? (pair.First, pair.Second);
            }
        foreach (var (rank, exchange) in group._exchanges.Index())
        {
            exchange.Connect(group._links[rank]);
            exchange.BeginStep(8);
        }
        return group;
    }

    public async Task LoseAsync(int rank)
    {
        foreach (var link in _links[rank].OfType<IPeerLink>()) await link.DisposeAsync();
    }

    public Task<T[]> OnEachAsync<T>(Func<RankExchange, T> work, int except = -1) =>
        Task.WhenAll(_exchanges.Where(exchange => exchange.Rank != except).Select(exchange =>
            Task.Factory.StartNew(() => work(exchange), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));

    public async ValueTask DisposeAsync()
    {
        foreach (var pair in _pairs) await pair.DisposeAsync();
    }
}
