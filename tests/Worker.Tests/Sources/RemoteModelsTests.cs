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

/// <summary>A worker that has no file of the model gets its tensors from the coordinator.</summary>
public sealed class RemoteModelsTests : IAsyncLifetime, IDisposable
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
    public async Task Assign_WithoutAFile_FetchesExactlyTheShardsTensors()
    {
        await using var worker = await StartAsync();
        await using var other = await TestWorker.StartAsync();

        var news = await AssignAsync([other, worker], worker);

        string[] expected = [.. _weights.Tensors.Select(t => t.Name).Where(name => name.StartsWith("blk.2.", StringComparison.Ordinal))];
        Assert.Equal(expected, Assert.Single(Served.Requests));
        var bytes = (ulong)expected.Sum(name => _weights.Find(name)!.Bytes);
        var fetching = news.First(n => n.Phase == Phase.Fetching);
        Assert.Equal((bytes, "coordinator"), (fetching.BytesTotal, fetching.Source));
        Assert.Equal(("coordinator", bytes), (news[^1].Source, news[^1].BytesDone));
        Assert.Equal(expected.Length, Directory.GetFiles(Folder).Length);
        foreach (var name in expected)
        {
            var tensor = _weights.Find(name)!;
            var data = new byte[tensor.Bytes];
            _weights.ReadRows(tensor, 0, data);
            var hash = PartHash.Compute(_weights, TensorPart.Whole(tensor), 1, null, CancellationToken.None);
            Assert.Equal(data, File.ReadAllBytes(Path.Combine(Folder, $"{name}.0-{tensor.Rows}.{hash}"))[..data.Length]);
        }
    }

    [Fact]
    public async Task Assign_AShardThatDoesNotFit_IsRefusedBeforeAnythingIsFetched()
    {
        await using var worker = await StartAsync(options => options with { MemoryBytes = 100_000 });
        var e = await Assert.ThrowsAsync<RpcException>(() => AssignAsync([worker], worker));
        Assert.Equal(StatusCode.ResourceExhausted, e.StatusCode);
        Assert.Contains("do not fit in the 100000 bytes", e.Status.Detail);
        Assert.Empty(Served.Requests);
    }

    [Fact]
    public async Task Assign_OneChunkDamagedOnTheWay_GoesOnWithTheTensorItWasIn()
    {
        var damaged = false;
        Served.OnChunk = (chunk, number) =>
        {
            if (number != 40 || damaged) return;
            damaged = true;
            chunk.Crc32C ^= 1;
        };
        await using var worker = await StartAsync();
        await AssignAsync([worker], worker);
        Assert.Equal(2, Served.Requests.Count);
        var rest = Served.Requests[1];
        Assert.True(rest.Length < Served.Requests[0].Length);
        Assert.Equal(Served.Requests[0][^rest.Length..], rest);
    }

    public static TheoryData<string, Action<Wire.WeightChunk>> Wrong => new()
    {
        { "checksum", chunk => chunk.Crc32C ^= 1 },
        { "where byte 0 of tensor 0", chunk => chunk.TensorIndex = uint.MaxValue },
        { "where byte 0 of tensor 0", chunk => chunk.Offset = ulong.MaxValue },
        { "has 0 bytes", chunk => chunk.Data = Google.Protobuf.ByteString.Empty },
        { "bytes, where", chunk => chunk.Data = Google.Protobuf.ByteString.CopyFrom(new byte[500_000]) },
        { "view 77", chunk => chunk.ViewVersion = 77 },
        { "do not hash to what the coordinator has on record", chunk => chunk.PartHash = new string('0', 64) },
        { "do not hash to what the coordinator has on record", chunk => chunk.PartHash = "" },
        { "marked in the wrong place", chunk => chunk.LastOfTensor = !chunk.LastOfTensor },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task Assign_EveryStreamOfWeightsWrong_FailsInOneLineAndLeavesNothingBehind(string named, Action<Wire.WeightChunk> change)
    {
        Served.OnChunk = (chunk, _) => change(chunk);
        await using var worker = await StartAsync();
        var e = await Assert.ThrowsAsync<RpcException>(() => AssignAsync([worker], worker));
        Assert.Equal(StatusCode.DataLoss, e.StatusCode);
        Assert.Contains(named, e.Status.Detail);
        Assert.DoesNotContain('\n', e.Status.Detail);
        Assert.Empty(Directory.GetFiles(Folder));
        Assert.Equal(3, Served.Requests.Count);

        Served.OnChunk = (_, _) => { };
        await AssignAsync([worker], worker, view: 2);
    }

    [Fact]
    public async Task Assign_WeightsThatStopComing_AreGivenUp()
    {
        using var gate = new ManualResetEventSlim();
        Served.OnChunk = (_, number) =>
        {
            if (number == 5) gate.Wait(TimeSpan.FromSeconds(20));
        };
        await using var worker = await TestWorker.StartAsync(options => options with
        {
            Coordinator = _coordinator.Address,
            CacheFolder = _cache.Path,
            PeerTimeout = TimeSpan.FromMilliseconds(200),
        });
        var e = await Assert.ThrowsAsync<RpcException>(() => AssignAsync([worker], worker));
        gate.Set();
        Assert.Contains("no weights came for 0.2 s", e.Status.Detail);
    }

    [Fact]
    public async Task Assign_OfAModelTheCoordinatorDoesNotHave_IsNotFound()
    {
        await using var worker = await StartAsync();
        var plan = TestPipeline.PlanOf([worker], new string('0', 64), 3, 1);
        var e = await Assert.ThrowsAsync<RpcException>(() => TestPipeline.AssignAsync(worker, plan, 0, ""));
        Assert.Equal(StatusCode.NotFound, e.StatusCode);
    }

    [Fact]
    public async Task Assign_ADescriptionThatLies_IsRefused()
    {
        Served.OnDescribe = description => description.Tensors[3].Rows = ulong.MaxValue;
        await using var worker = await StartAsync();
        var e = await Assert.ThrowsAsync<RpcException>(() => AssignAsync([worker], worker));
        Assert.Equal(StatusCode.DataLoss, e.StatusCode);
        Assert.Empty(Served.Requests);
    }

    [Fact]
    public async Task Assign_AModelWithRopeFactors_FetchesThemFirst()
    {
        float[] divisors = [1, 2, 3, 4, 5, 6, 7, 8];
        using var weights = (_model with { Config = _model.Config with { RopeScaling = new RopeScaling.Factors(divisors) } }).Weights();
        await using var coordinator = await FakeCoordinator.StartAsync(weights);
        await using var worker = await TestWorker.StartAsync(options => options with { Coordinator = coordinator.Address, CacheFolder = _cache.Path });
        await TestPipeline.AssignAsync(worker, TestPipeline.PlanOf([worker], coordinator.Weights.Digest, 3, 1), 0, "");
        Assert.Equal([LlamaTensors.RopeFactors], coordinator.Weights.Requests[0]);
        Assert.Equal(divisors, Assert.IsType<RopeScaling.Factors>(worker.Model.LoadedConfig?.RopeScaling).Divisors);
    }

    [Fact]
    public async Task Assign_AnotherModelAtThePath_FetchesTheRightOne()
    {
        using var folder = new TempFolder();
        var path = (_model with { Seed = 99 }).WriteGguf(folder.File("other.gguf"));
        await using var worker = await StartAsync();
        var news = await TestPipeline.AssignAsync(worker, TestPipeline.PlanOf([worker], Served.Digest, 3, 1), 0, path);
        Assert.Equal("coordinator", news[^1].Source);
    }

    [Fact]
    public async Task Assign_ADamagedModelAtThePath_FetchesTheRightOne()
    {
        var path = _cache.File("broken.gguf");
        File.WriteAllText(path, "GGUF, but not really");
        await using var worker = await StartAsync();
        var news = await TestPipeline.AssignAsync(worker, TestPipeline.PlanOf([worker], Served.Digest, 3, 1), 0, path);
        Assert.Equal("coordinator", news[^1].Source);
    }

    [Fact]
    public async Task Assign_ACopyOfTheModelAtTheWorkersOwnPath_FetchesNothing()
    {
        using var folder = new TempFolder();
        var path = _model.WriteGguf(folder.File("copy.gguf"));
        await using var worker = await StartAsync(options => options with { ModelPath = path, TrustDigest = false });
        var news = await AssignAsync([worker], worker);
        Assert.Equal($"local {path}", news[^1].Source);
        Assert.Empty(Served.Requests);
    }

    Task<TestWorker> StartAsync(Func<WorkerOptions, WorkerOptions>? change = null) => TestWorker.StartAsync(options =>
    {
        var usual = options with { Coordinator = _coordinator.Address, CacheFolder = _cache.Path };
        return change?.Invoke(usual) ?? usual;
    });

    Task<IReadOnlyList<Wire.LoadProgress>> AssignAsync(IReadOnlyList<TestWorker> stages, TestWorker worker, ulong view = 1) => TestPipeline.AssignAsync(
        worker, TestPipeline.PlanOf(stages, Served.Digest, 3, view), stages.ToList().IndexOf(worker), "");
}
