using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using Phase = LlamaCluster.Protos.LoadProgress.Types.Phase;

namespace LlamaCluster.Coordinator.Tests.Supervision;

public sealed class LoadingMeterTests
{
    [Fact]
    public void The_rate_is_that_of_the_present_phase_and_news_come_every_ten_seconds()
    {
        var time = new ManualTimeProvider();
        var meter = new LoadingMeter(time);
        Assert.Equal((0, false), After(0, Phase.Fetching, 500));
        Assert.Equal((0, false), After(0.1, Phase.Fetching, 600));
        Assert.Equal((1000, false), After(1.9, Phase.Fetching, 2500));
        Assert.Equal((200, true), After(8, Phase.Fetching, 2500));
        Assert.Equal((200, false), After(0, Phase.Fetching, 2500));
        Assert.Equal((0, false), After(5, Phase.Loading, 0));
        Assert.Equal((50, false), After(2, Phase.Loading, 100));

        (double, bool) After(double seconds, Phase phase, ulong done)
        {
            time.Advance(TimeSpan.FromSeconds(seconds));
            meter.Update(new LoadProgress { Phase = phase, BytesDone = done, BytesTotal = 10_000 });
            return (Math.Round(meter.Rate), meter.HasNews);
        }
    }
}
