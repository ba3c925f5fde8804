using Grpc.Core;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;
using LlamaCluster.Worker.Tests.Fakes;
using Phase = LlamaCluster.Protos.LoadProgress.Types.Phase;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Sources;

/// <summary>A worker with a file of its own that has the right digest, which is a sample: the rest is compared with the coordinator's.</summary>
public sealed class ComparedFilesTests : IAsyncLifetime, IDisposable
{
    const string Tensor = "blk.1.ffn_up.weight";

    readonly TempFolder _folder = new();

    /// <summary>Its ffn_up has 2048 rows and 512 KiB, of which the digest takes 8 rows.</summary>
    readonly SyntheticModel _model = SyntheticModel.Small with { Config = SyntheticModel.Small.Config with { FfnSize = 2048 } };

    string _path = "";
    IModelWeights _served = null!;
    FakeCoordinator _coordinator = null!;

    FakeWeights Served => _coordinator.Weights;

    public async Task InitializeAsync()
    {
        _path = _model.WriteGguf(_folder.File("own.gguf"));
        _served = ModelFiles.Open(_model.WriteGguf(_folder.File("served.gguf")));
        _coordinator = await FakeCoordinator.StartAsync(_served);
    }

    public async Task DisposeAsync()
    {
        await _coordinator.DisposeAsync();
        _served.Dispose();
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Assign_WithTheSameFile_ComparesAllOfTheShardAndFetchesNothing()
    {
        await using var worker = await StartAsync();
        var news = await AssignAsync(worker);
        Assert.Equal($"local {_path}", news[^1].Source);
        Assert.Equal(worker.Model.Read, Assert.Single(Served.HashRequests));
        Assert.Empty(Served.Requests);
    }

    [Fact]
    public async Task Assign_WithOneBitOfAFileChanged_NamesItAndFetchesTheTensorFromTheCoordinator()
    {
        ChangeOneBit();
        await using var worker = await StartAsync();
        var news = await AssignAsync(worker);
        Assert.Equal("coordinator", news[^1].Source);
        Assert.Equal([Tensor], Assert.Single(Served.Requests));
        Assert.Contains($"{_path}: tensor {Tensor} holds other bytes than the coordinator's model, although both have the same digest", worker.Log.ToString());
    }

    [Fact]
    public async Task Assign_WithOneBitOfAFileChangedAndNothingToFetch_SaysBoth()
    {
        ChangeOneBit();
        Served.OnDescribe = _ => throw new RpcException(new Status(StatusCode.Internal, "not today"));
        await using var worker = await StartAsync();
        var e = await Assert.ThrowsAsync<RpcException>(() => AssignAsync(worker));
        Assert.Contains($"{_path}: tensor {Tensor} holds other bytes", e.Status.Detail);
        Assert.Contains("not today", e.Status.Detail);
        Assert.DoesNotContain('\n', e.Status.Detail);
    }

    [Fact]
    public async Task Assign_WithOneBitOfBothFilesChanged_NamesBoth()
    {
        ChangeOneBit();
        Served.HashOf = part => new string('0', 64);
        await using var worker = await StartAsync();
        var e = await Assert.ThrowsAsync<RpcException>(() => AssignAsync(worker));
        Assert.Contains($"{_path}: tensor blk.0.", e.Status.Detail);
        Assert.Contains("others hold other bytes", e.Status.Detail);
        Assert.Contains("do not hash to what the coordinator has on record: its model is damaged there", e.Status.Detail);
    }

    [Fact]
    public async Task Assign_WithTrustInTheDigest_AsksForNoHash()
    {
        ChangeOneBit();
        await using var worker = await StartAsync(options => options with { TrustDigest = true });
        Assert.Equal($"local {_path}", (await AssignAsync(worker))[^1].Source);
        Assert.Empty(Served.HashRequests);
    }

    [Fact]
    public async Task Assign_WhileTheCoordinatorStillHashes_ReadsMeanwhileAndTellsThatItWaits()
    {
        await using var worker = await StartAsync();
        var read = new TaskCompletionSource();
        worker.Model.OnRead = (part, _) =>
        {
            if (part.Tensor.Name.StartsWith("blk.2.ffn_down", StringComparison.Ordinal)) read.TrySetResult();
        };
        Served.BeforeHash = () => read.Task;
        Assert.Contains(await AssignAsync(worker), news => news.Phase == Phase.Verifying);
    }

    [Fact]
    public async Task Assign_WhereNoHashEverComes_GivesUpInOneLine()
    {
        var never = new TaskCompletionSource();
        Served.BeforeHash = () => never.Task;
        await using var worker = await StartAsync(options => options with { PeerTimeout = TimeSpan.FromMilliseconds(200) });
        var e = await Assert.ThrowsAsync<RpcException>(() => AssignAsync(worker));
        never.SetResult();
        Assert.Contains("no hashes came for 0.2 s", e.Status.Detail);
        Assert.Equal(0, worker.Model.LiveWeights);
    }

    /// <summary>The coordinator may have been started again with another tuning of the same sample.</summary>
    [Fact]
    public async Task Assign_TheSameShardAgain_ComparesWhatIsInMemory()
    {
        await using var worker = await StartAsync();
        await AssignAsync(worker);
        await AssignAsync(worker, view: 2);
        Assert.Equal((1, 2), (worker.Model.Loads, Served.HashRequests.Count));

        var right = Served.HashOf;
        Served.HashOf = part => part.Tensor.Name == Tensor ? new string('0', 64) : right(part);
        var e = await Assert.ThrowsAsync<RpcException>(() => AssignAsync(worker, view: 3));
        Assert.Equal(StatusCode.DataLoss, e.StatusCode);
        Assert.Contains("on record", e.Status.Detail);
    }

    [Fact]
    public async Task Assign_OfWeightsRoundedWhileTheyAreRead_ComparesWhatTheyAreRoundedTo()
    {
        using var rounded = new QuantizedModelPath(_path, TensorType.Q8_0).Open();
        await using var coordinator = await FakeCoordinator.StartAsync(rounded);
        await using var worker = await StartAsync(options => options with { Coordinator = coordinator.Address, ModelPath = null });
        var path = new QuantizedModelPath(_path, TensorType.Q8_0).ToString();
        var news = await TestPipeline.AssignAsync(worker, TestPipeline.PlanOf([worker], coordinator.Weights.Digest, 3, 1), 0, path);
        Assert.Equal($"local {path}", news[^1].Source);
        Assert.Single(coordinator.Weights.HashRequests);
    }

    /// <summary>In the second row, which the digest does not take.</summary>
    void ChangeOneBit()
    {
        var row = new byte[256];
        _served.ReadRows(_served.Find(Tensor)!, 1, row);
        var content = File.ReadAllBytes(_path);
        content[content.AsSpan().IndexOf(row) + 8] ^= 1;
        File.WriteAllBytes(_path, content);
        using var changed = ModelFiles.Open(_path);
        Assert.Equal(Served.Digest, changed.ComputeDigest());
    }

    Task<TestWorker> StartAsync(Func<WorkerOptions, WorkerOptions>? change = null) => TestWorker.StartAsync(options =>
    {
        var usual = options with { Coordinator = _coordinator.Address, CacheFolder = _folder.File("cache"), ModelPath = _path, TrustDigest = false };
        return change?.Invoke(usual) ?? usual;
    });

    Task<IReadOnlyList<Wire.LoadProgress>> AssignAsync(TestWorker worker, ulong view = 1) =>
        TestPipeline.AssignAsync(worker, TestPipeline.PlanOf([worker], Served.Digest, 3, view), 0, "");
}
