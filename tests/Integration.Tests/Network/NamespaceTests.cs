namespace LlamaCluster.Integration.Tests.Network;

/// <summary>What links between machines do to plans, and what they must not do to texts.</summary>
[Collection(nameof(NetworkAlone))]
public sealed class NamespaceTests
{
    /// <summary>
    /// Two ranks save half of some 7 ms of reading weights and meet 8 times a token; two stages save nothing and meet once. So ranks are
    /// better where a meeting takes less than about 0.5 ms, several times what fast links take here. What far ones take is twenty times as much, for a machine
    /// that is busy reads weights several times more slowly.
    /// </summary>
    const string Model = "shape:hidden=2048,layers=4,ffn=16384,heads=32,kv-heads=8,vocab=4096;type=q4_0";

    const double LeastMegabytes = 1;

    static readonly LinkShape Slow = new(TimeSpan.FromMilliseconds(1), 1e9), Far = new(TimeSpan.FromMilliseconds(5), 1e9);

    [NamespaceFact(slowLinks: true)]
    public async Task Ranks_share_a_stage_over_fast_links_stages_follow_each_other_over_far_ones_and_the_text_is_one_workers()
    {
        var alone = await RunAsync(workers: 1, links: null);
        var fast = await RunAsync(workers: 2, links: null);
        var far = await RunAsync(workers: 2, Far);
        if (far.Link.MegabytesPerSecond <= LeastMegabytes) far = await RunAsync(workers: 2, Far);   // the processors that carry the packets were busy

        Assert.True(fast.Link.Microseconds < 1000, $"{fast.Link}");
        Assert.True(far.Link.Microseconds is >= 10_000 and < 50_000 && far.Link.MegabytesPerSecond is > LeastMegabytes and < 200, $"{far.Link}");
        Assert.Equal(("1 stage of 2 ranks", "2 stages of 1 worker"), (fast.Plan, far.Plan));
        Assert.Equal((alone.Text, alone.Text), (fast.Text, far.Text));
    }

    [NamespaceFact]
    public async Task Ranks_on_several_machines_link_by_a_lane()
    {
        using var network = new NamespaceNetwork(2);
        await using var cluster = await NetworkedCluster.StartAsync(network, 2, "--tensor-parallel", "2");

        Assert.Contains(cluster.Lane.Peer, (string[])[network.AddressOf(0), network.AddressOf(1)]);
        await cluster.TextAsync();
    }

    [NamespaceFact(slowLinks: true)]
    public async Task Ranks_that_are_told_to_share_a_stage_do_so_over_slow_links_too()
    {
        using var network = new NamespaceNetwork(2, Slow);
        await using var cluster = await NetworkedCluster.StartAsync(network, 2, "--tensor-parallel", "2");

        Assert.True(cluster.Lane.Microseconds >= 1000, $"{cluster.Lane}");
        await cluster.TextAsync();
    }

    static async Task<(string Text, string Plan, (double Microseconds, double MegabytesPerSecond) Link)> RunAsync(int workers, LinkShape? links)
    {
        using var network = new NamespaceNetwork(workers, links);
        await using var cluster = await NetworkedCluster.StartAsync(network, workers, "--model", Model, "--context", "512", "--objective", "latency");
        return (await cluster.TextAsync(), cluster.Plan, cluster.Link);
    }
}
