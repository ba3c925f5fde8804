using LlamaCluster.Testing;
using LlamaCluster.Worker.Tests.Fakes;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests;

/// <summary>Whatever comes in at a worker's port, it goes on serving those who speak its protocol.</summary>
public sealed class RandomBytesTests(ModelFile file) : IClassFixture<ModelFile>
{
    [Fact]
    public async Task Strangers_AreHungUpOn_AndTheOthersServed()
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        await using var worker = await RunningWorker.StartAsync(coordinator);
        await worker.AssignAsync(file, view: 1);

        await RandomBytes.SendAsync(worker.Address, connections: 100);

        await worker.AssignAsync(file, view: 2);
        Wire.HeartbeatRequest beat;
        do beat = await Deadline.Within(coordinator.Membership.Heartbeats.Reader.ReadAsync().AsTask(), "a heartbeat");
        while (beat.ViewVersion != 2 || beat.State != Wire.WorkerState.Ready);
        Assert.False(worker.HasExited);
        Assert.Equal((1, 1), (worker.Model.LiveWeights, worker.Model.LiveStages));
    }
}
