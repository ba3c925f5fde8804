using LlamaCluster.Cli.Observing;
using LlamaCluster.Coordinator.Observing;

namespace LlamaCluster.Cli.Tests.Observing;

/// <summary>What `top` shows of a cluster.</summary>
public sealed class TopFrameTests
{
    [Fact]
    public void A_cluster_that_serves_in_a_few_lines()
    {
        var text = Text(Snapshots.Two, history: [0, 30, 60]);
        Assert.Equal(
            """
            LlamaCluster  llama-8b 32 layers, 4.90 GB  ready  view 1·2, up 1 h 1 min

            generating    first token   each token    sequences    KV cache   prefix cache
            61.5 tok/s    350 ms        50.0 ms       3 running    25 %       50 %
            prompts 12.0  p95 1.20 s    p95 80.0 ms   1 waiting    13 % kept  2 sessions

            ▁▄█ tokens/s, up to 60.0

            stage layers worker state   busy             step    memory             to the next
            0     0..15  alpha  serving ████······  42 % 20.0 ms 3.10 GB of 16.0 GB 2.50 MB/s 10.0 Gbit/s
            1     16..31 beta   serving ████······  40 % 20.0 ms 3.10 GB of 16.0 GB

            plan 30.0 ms a token predicted = weights 20.0 ms + arithmetic 4.00 ms + keys and values 3.00 ms + activations 1.00 ms + program 2.00 ms

            view ready after served     ended because
            1·2  2.00 s      8 min 17 s it serves
            1·1  4.00 s      8 min 16 s worker gamma was lost: its heartbeat stream ended
            """.ReplaceLineEndings("\n").Replace(" ", ""), text.Replace(" ", ""));
    }

    [Fact]
    public void A_recovery_is_told_with_who_is_missing()
    {
        var cluster = Snapshots.Two
            .With(replica => replica with { Ready = false, Recovering = true, Phase = "loading", Reason = "worker gamma was lost; loading" })
            .With(Snapshots.Worker("w3", "gamma", null, "lost", "no heartbeat"), Snapshots.Worker("w4", "delta", null, "spare"));
        var text = Text(cluster);
        Assert.Contains("recovering", text);
        Assert.Contains("worker gamma was lost; loading", text);
        Assert.Contains("others gamma lost, delta spare", text);
    }

    /// <summary>Two ranks share the first stage; the second is of one worker.</summary>
    [Theory]
    [InlineData("whole")]
    [InlineData("columns")]
    public void What_ranks_have_of_experts_is_told_where_there_are_some(string experts)
    {
        var text = Text(Snapshots.Two.With(replica => replica with
        {
            Stages =
            [
                replica.Stages[0] with { Experts = experts, Ranks = [replica.Stages[0].Ranks[0], replica.Stages[0].Ranks[0] with { Rank = 1 }] },
                replica.Stages[1] with { Experts = "all" },
            ],
        }));
        Assert.Matches(@"stage +layers +experts +worker", text);
        Assert.Matches($@"0\.0 +0\.\.15 +{experts} +alpha", text);
        Assert.Matches($@"0\.1 +0\.\.15 +{experts} +alpha", text);
        Assert.Matches(@"1 +16\.\.31 +all +beta", text);
        Assert.DoesNotContain("experts", Text(Snapshots.Two));
    }

    [Fact]
    public void Who_is_back_is_no_longer_lost() =>
        Assert.DoesNotContain("lost,", Text(Snapshots.Two.With(Snapshots.Worker("w0", "alpha", null, "lost"))));

    [Fact]
    public void Names_are_no_markup() => Assert.Contains("[red]evil[/]", Text(Snapshots.Two.With(Snapshots.Worker("w5", "[red]evil[/]", null, "spare"))));

    [Fact]
    public void Nothing_is_planned_yet() => Assert.Contains("nothing is planned yet", Text(Snapshots.Two.With(replica => replica with
    {
        Ready = false,
        Phase = "waiting",
        Reason = "waiting for workers",
        Stages = [],
        Links = [],
        Plan = null,
        Rates = null,
        Views = [],
    })));

    static string Text(ClusterSnapshot cluster, params double[] history) => TopLines.Plain(TopFrame.Of(cluster, history, "")).ReplaceLineEndings("\n");
}
