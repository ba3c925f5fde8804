using LlamaCluster.Worker.Orders;
using Phase = LlamaCluster.Protos.LoadProgress.Types.Phase;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Orders;

public class LoadProgressFeedTests
{
    readonly HandTime _time = new();

    [Fact]
    public async Task Report_Often_TellsOnlyWhatIsNews()
    {
        var feed = new LoadProgressFeed(4, "digest", _time);
        feed.Begin(Phase.Opening, 0);
        feed.Begin(Phase.Loading, 200_000_000, "local x");
        feed.Report(1);
        feed.Report(2);
        _time.Pass(TimeSpan.FromMilliseconds(100));
        feed.Report(3);
        feed.Report(4);
        feed.Report(70_000_000);
        feed.Ready("local x", 9, 5, 77);
        feed.Complete();

        var news = new List<Wire.LoadProgress>();
        await foreach (var item in feed.ReadAllAsync(CancellationToken.None)) news.Add(item);

        Assert.Equal([Phase.Opening, Phase.Loading, Phase.Loading, Phase.Loading, Phase.Ready], news.Select(n => n.Phase));
        Assert.Equal([0UL, 0, 3, 70_000_000, 200_000_000], news.Select(n => n.BytesDone));
        Assert.All(news, n => Assert.Equal((4UL, "digest"), (n.ViewVersion, n.ModelDigest)));
        Assert.Equal(
            ("local x", 9u, 5UL, 77UL, 200_000_000UL),
            (news[^1].Source, news[^1].KvBlockCount, news[^1].KvBlockBytes, news[^1].ResidentBytes, news[^1].BytesTotal));
    }

    sealed class HandTime : TimeProvider
    {
        long _now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _now;

        public void Pass(TimeSpan time) => _now += time.Ticks;
    }
}
