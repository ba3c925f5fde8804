using System.Text;
using System.Threading.Channels;
using LlamaCluster.Cli.Up;
using LlamaCluster.Cluster;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using Shard = LlamaCluster.Planning.Plans.Shard;

namespace LlamaCluster.Cli.Tests.Up;

public sealed class LoadingLinesTests
{
    [Fact]
    public async Task News_is_one_line_each_until_the_model_is_ready()
    {
        var (lines, status) = (new Lines(), new Latest<ClusterStatus>(ClusterStatus.Starting));
        using var view = new LoadingLines(lines);
        var following = view.FollowUntilReadyAsync(status, CancellationToken.None);
        status.Update(_ => Loading(0));
        Assert.Equal("w1, stage 0, layers 0 to 3: loading 0 %", await lines.NextAsync());
        status.Update(_ => Loading(30));
        Assert.Equal("w1, stage 0, layers 0 to 3: loading 25 %", await lines.NextAsync());
        status.Update(_ => Loading(40)); // no news
        status.Update(_ => Loading(60));
        Assert.Equal("w1, stage 0, layers 0 to 3: loading 50 %", await lines.NextAsync());
        status.Update(_ => Loading(75, bytesPerSecond: 5));
        Assert.Equal("w1, stage 0, layers 0 to 3: loading 75 %, 75 B of 100 B, 5 B/s, 5 s left", await lines.NextAsync());
        status.Update(value => value with { Phase = ClusterPhase.Ready, Reason = "" });
        await following.WaitAsync(CommandRun.Deadline);
    }

    static ClusterStatus Loading(long done, double bytesPerSecond = 0) => new(ClusterPhase.Loading, 1, "1 of 1 workers loads", [new ShardProgress(
        new WorkerId("w-1"), "w1", new Uri("http://127.0.0.1:1"), 0,
        new Shard(new LayerRange(0, 4), TensorSlice.Whole), LoadProgress.Types.Phase.Loading, done, 100, "")
    {
        BytesPerSecond = bytesPerSecond,
    }]);

    sealed class Lines : TextWriter
    {
        readonly Channel<string> _lines = Channel.CreateUnbounded<string>();

        public override Encoding Encoding => Encoding.UTF8;

        public override void WriteLine(string? value) => _lines.Writer.TryWrite(value ?? "");

        public async Task<string> NextAsync() => await _lines.Reader.ReadAsync().AsTask().WaitAsync(CommandRun.Deadline);
    }
}
