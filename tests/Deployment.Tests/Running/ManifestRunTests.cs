using LlamaCluster.Integration.Tests.Up;

namespace LlamaCluster.Deployment.Tests.Running;

/// <summary>The manifests carried out on this machine, process by process.</summary>
public sealed class ManifestRunTests
{
    [Fact]
    public async Task Workers_of_a_group_are_rolled_one_by_one_under_load_and_no_stream_is_lost()
    {
        using var node = new LocalNode();
        await using var group = LocalGroup.Start(node, 0);
        await group.ReadyAsync();
        await using var load = new ClientLoad(node.Key, () => Task.FromResult<Uri?>(group.Api));
        await load.MoreAsync(8, CliProcess.Deadline);

        for (var worker = 1; worker < group.Pods.Count(); worker++)
        {
            Assert.Equal(0, await group.RollAsync(worker));
            await load.MoreAsync(8, CliProcess.Deadline);
        }

        Assert.True(load.Lost.Count == 0, string.Join('\n', load.Lost));
        Assert.All(group.Pods, pod => Assert.True(pod.LivenessFailures < 2, pod.Log));
    }

    [Fact]
    public async Task A_coordinator_ends_its_streams_within_its_grace_period_and_sends_others_away()
    {
        using var node = new LocalNode(("WORKERS", "1"));
        await using var group = LocalGroup.Start(node, 0, size: 2);
        await group.ReadyAsync();
        await using var load = new ClientLoad(node.Key, () => Task.FromResult<Uri?>(group.Api));
        await load.MoreAsync(4, CliProcess.Deadline);
        var before = load.Refused;

        Assert.Equal(0, await group.Leader.StopAsync());

        await load.EndAsync();
        Assert.True(load.Lost.Count == 0, string.Join('\n', load.Lost));
        Assert.True(load.Refused > before, "nobody was told to come again");
    }

    [Fact]
    public async Task When_one_of_two_replicas_stops_the_other_takes_its_requests()
    {
        using var node = new LocalNode(("WORKERS", "1"));
        await using var first = LocalGroup.Start(node, 0, size: 2);
        await using var second = LocalGroup.Start(node, 1, size: 2);
        await first.ReadyAsync();
        await second.ReadyAsync();
        await using var load = new ClientLoad(node.Key, async () =>
            await first.Leader.IsReadyAsync() ? first.Api : await second.Leader.IsReadyAsync() ? second.Api : null);
        await load.MoreAsync(4, CliProcess.Deadline);

        Assert.Equal(0, await first.Leader.StopAsync());

        await load.MoreAsync(8, CliProcess.Deadline);
        Assert.True(load.Lost.Count == 0, string.Join('\n', load.Lost));
    }
}
