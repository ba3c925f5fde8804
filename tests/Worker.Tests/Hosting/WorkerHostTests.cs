using LlamaCluster.Kernels;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Tests.Fakes;

namespace LlamaCluster.Worker.Tests.Hosting;

public class WorkerHostTests
{
    [Fact]
    public void Create_WithAWrongOption_SaysWhich() =>
        Assert.Contains(
            "--threads", Assert.Throws<ArgumentException>(() => TestWorker.Create(new FakeModel(), options => options with { Threads = -1 })).Message);

    [Fact]
    public async Task RunAsync_TheAddressIsTaken_Exits1WithOneLine()
    {
        await using var first = await TestWorker.StartAsync();
        var log = new LogLines();
        await using var second = TestWorker.Create(new FakeModel(), options => options with { Listen = first.Host.Address.ToString() }, log);
        Assert.Equal(1, await Deadline.Within(second.RunAsync(), "the worker to give up"));
        Assert.Contains("address already in use", Assert.Single(log.Lines, line => line.Contains("cannot go on")));
    }

    [Fact]
    public async Task RunAsync_ADamagedModel_Exits1WithOneLine()
    {
        using var folder = new TempFolder();
        var path = folder.File("broken.gguf");
        File.WriteAllText(path, "GGUF, but not really");
        var log = new LogLines();
        await using var host = TestWorker.Create(new FakeModel(), options => options with { ModelPath = path }, log);
        Assert.Equal(1, await Deadline.Within(host.RunAsync(), "the worker to give up"));
        Assert.Contains(path, Assert.Single(log.Lines, line => line.Contains("cannot go on")));
    }

    [Fact]
    public async Task RunAsync_SharedMemoryOfAKilledWorkerIsThere_RemovesIt()
    {
        if (!SharedMemory.IsSupported) return;
        var left = $"/dev/shm/llamacluster-{Guid.NewGuid():n}";
        File.WriteAllBytes(left, new byte[1 << 20]);
        using var folder = new TempFolder();
        var path = folder.File("broken.gguf");
        File.WriteAllText(path, "GGUF, but not really");   // so it ends
        await using var host = TestWorker.Create(new FakeModel(), options => options with { ModelPath = path });
        Assert.Equal(1, await Deadline.Within(host.RunAsync(), "the worker to give up"));
        Assert.False(File.Exists(left));
    }

    [Fact]
    public async Task DisposeAsync_WithStreamsOpen_DoesNotWaitForThem()
    {
        await using var worker = await TestWorker.StartAsync();
        using var steps = worker.Steps.Run(deadline: Deadline.Call);
        using var activations = worker.Activations.Send(deadline: Deadline.Call);
        await activations.ResponseHeadersAsync;
        await Deadline.Within(worker.Host.DisposeAsync().AsTask(), "the worker's end");
    }
}
