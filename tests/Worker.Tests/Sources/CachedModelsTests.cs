using Grpc.Core;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;
using LlamaCluster.Worker.Sources;
using LlamaCluster.Worker.Tests.Fakes;
using Phase = LlamaCluster.Protos.LoadProgress.Types.Phase;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Sources;

/// <summary>What a worker fetched from the coordinator is there for the next one, unless it is not what the coordinator serves.</summary>
public sealed class CachedModelsTests : IAsyncLifetime, IDisposable
{
    readonly TempFolder _cache = new();
    readonly SyntheticModel _model = SyntheticModel.Small with { Type = TensorType.Q8_0 };
    SyntheticWeights _weights = null!;
    FakeCoordinator _coordinator = null!;

    FakeWeights Served => _coordinator.Weights;

    string Folder => Path.Combine(_cache.Path, Served.Digest);

    public async Task InitializeAsync()
    {
        _weights = _model.Weights();
        _coordinator = await FakeCoordinator.StartAsync(_weights);
    }

    public async Task DisposeAsync() => await _coordinator.DisposeAsync();

    public void Dispose() => _cache.Dispose();

    [Fact]
    public async Task Assign_ToAnotherWorkerWithTheSameCache_FetchesNothing()
    {
        await using (var first = await StartAsync()) await AssignAsync([first], first);
        await using var second = await StartAsync();
        var news = await AssignAsync([second], second);
        Assert.Single(Served.Requests);
        Assert.Single(Served.HashRequests);
        Assert.Equal($"cache {Folder}", news[^1].Source);
        Assert.DoesNotContain(news, n => n.Phase == Phase.Fetching);
    }

    [Theory]
    [InlineData("one bit")]
    [InlineData("cut off")]
    [InlineData("empty")]
    [InlineData("too long")]
    [InlineData("another entry's")]
    [InlineData("folder")]
    [InlineData("link to itself")]
    public async Task Assign_WithADamagedFileInTheCache_FetchesThatOneAgain(string damage)
    {
        await using (var first = await StartAsync()) await AssignAsync([first], first);
        var path = Entry("blk.1.ffn_up.weight");
        var content = File.ReadAllBytes(path);
        File.Delete(path);
        if (damage == "one bit") content[1234] ^= 4;
        if (damage == "folder") Directory.CreateDirectory(path);
        else if (damage == "link to itself") File.CreateSymbolicLink(path, path);
        else
            File.WriteAllBytes(path, damage switch
            {
                "cut off" => content[..^1],
                "empty" => [],
                "too long" => [.. content, 0],
                "another entry's" => File.ReadAllBytes(Entry("blk.1.ffn_gate.weight")),
                _ => content,
            });

        await using var second = await StartAsync();
        var news = await AssignAsync([second], second);

        Assert.Equal(["blk.1.ffn_up.weight"], Served.Requests[1]);
        Assert.Equal("coordinator", news[^1].Source);
        await using var third = await StartAsync();
        Assert.Equal($"cache {Folder}", (await AssignAsync([third], third))[^1].Source);
    }

    /// <summary>The bytes that stand under the right name hash to something else than their name says, though the entry says that all is well.</summary>
    [Fact]
    public async Task Assign_WithForgedBytesInTheCache_FetchesTheRightOnes()
    {
        await using (var first = await StartAsync()) await AssignAsync([first], first);
        var path = Entry("blk.1.ffn_up.weight");
        var (content, other) = (File.ReadAllBytes(path), File.ReadAllBytes(Entry("blk.1.ffn_gate.weight")));
        File.WriteAllBytes(path, [.. other[..^CachedTensor.TrailerBytes], .. content[^CachedTensor.TrailerBytes..]]);
        await using var second = await StartAsync();
        await AssignAsync([second], second);
        Assert.Equal(["blk.1.ffn_up.weight"], Served.Requests[1]);
        Assert.Equal(content, File.ReadAllBytes(path));
    }

    /// <summary>What another coordinator sent under the same digest has names of its own, and is not taken for what this one serves.</summary>
    [Fact]
    public async Task Assign_AfterAnotherCoordinatorFilledTheCache_FetchesTheRightOnes()
    {
        using var poison = (_model with { Seed = 99 }).Weights();
        await using (var stranger = await FakeCoordinator.StartAsync(poison, digest: Served.Digest))
        await using (var misled = await TestWorker.StartAsync(options => options with { Coordinator = stranger.Address, CacheFolder = _cache.Path }))
            await AssignAsync([misled], misled);

        await using var worker = await StartAsync();
        Assert.Equal("coordinator", (await AssignAsync([worker], worker))[^1].Source);
        var matrices = _weights.Tensors
            .Where(tensor => tensor.Name.StartsWith("blk.", StringComparison.Ordinal) && tensor.Rows > 1).Select(tensor => tensor.Name);
        Assert.Empty(matrices.Except(Served.Requests.Single()));
    }

    [Fact]
    public async Task Assign_AShardLargerThanTheCacheMayBe_IsRefusedBeforeAnythingIsFetched()
    {
        await using var worker = await StartAsync(options => options with { CacheBytes = 1000 });
        var e = await Assert.ThrowsAsync<RpcException>(() => AssignAsync([worker], worker));
        Assert.Equal(StatusCode.ResourceExhausted, e.StatusCode);
        Assert.Contains("--weights-cache-size 1000", e.Status.Detail);
        Assert.Empty(Served.Requests);
    }

    [Fact]
    public async Task Assign_OfMoreLayers_FetchesOnlyThoseAndKeepsTheOthersEntriesInUse()
    {
        await using var worker = await StartAsync();
        await using var other = await TestWorker.StartAsync();
        await AssignAsync([worker, other], worker);
        await AssignAsync([worker], worker, view: 2);
        Assert.All(Served.Requests[1], name => Assert.StartsWith("blk.2.", name));
        Assert.Equal(3, worker.Model.Read.Count(name => name.EndsWith(".ffn_up.weight", StringComparison.Ordinal)));

        var eviction = new CacheEviction(_cache.Path, 1, DiskSpace.Of(_cache.Path));
        eviction.MakeRoom(0);
        Assert.Equal(0, eviction.Removed);
    }

    [Fact]
    public async Task Assign_ByTwoWorkersAtATime_GivesBothAndOneCache()
    {
        await using var first = await StartAsync();
        await using var second = await StartAsync();
        await Task.WhenAll(AssignAsync([first], first), AssignAsync([second], second));
        await using var third = await StartAsync();
        Assert.Equal($"cache {Folder}", (await AssignAsync([third], third))[^1].Source);
        Assert.DoesNotContain(Directory.GetFiles(Folder), path => path.EndsWith(WeightsCache.TemporarySuffix, StringComparison.Ordinal));
    }

    string Entry(string tensor) => Directory.GetFileSystemEntries(Folder, $"{tensor}.*").Single();

    Task<TestWorker> StartAsync(Func<WorkerOptions, WorkerOptions>? change = null) => TestWorker.StartAsync(options =>
    {
        var usual = options with { Coordinator = _coordinator.Address, CacheFolder = _cache.Path };
        return change?.Invoke(usual) ?? usual;
    });

    Task<IReadOnlyList<Wire.LoadProgress>> AssignAsync(IReadOnlyList<TestWorker> stages, TestWorker worker, ulong view = 1) => TestPipeline.AssignAsync(
        worker, TestPipeline.PlanOf(stages, Served.Digest, 3, view), stages.ToList().IndexOf(worker), "");
}
