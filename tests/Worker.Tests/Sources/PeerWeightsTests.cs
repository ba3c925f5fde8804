using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Formats;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;
using LlamaCluster.Worker.Sources;
using LlamaCluster.Worker.Tests.Fakes;
using Microsoft.Extensions.DependencyInjection;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Sources;

/// <summary>Workers whose coordinator says that other workers have the model's bytes.</summary>
public sealed class PeerWeightsTests : IAsyncLifetime, IDisposable
{
    const string Tensor = "blk.1.ffn_up.weight";

    readonly TempFolder _folder = new();
    readonly SyntheticModel _model = SyntheticModel.Small with { Type = TensorType.Q8_0 };
    IModelWeights _weights = null!;
    FakeCoordinator _coordinator = null!;
    TestWorker _giver = null!;

    FakeWeights Served => _coordinator.Weights;

    /// <summary>Of the layers, in order.</summary>
    string[] Names =>
        [.. _weights.Tensors.Select(tensor => tensor.Name).Where(name => name.StartsWith("blk.", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    public async Task InitializeAsync()
    {
        _weights = _model.Weights();
        _coordinator = await FakeCoordinator.StartAsync(_weights);
        _giver = await StartAsync("giver");
    }

    public async Task DisposeAsync()
    {
        await _giver.DisposeAsync();
        await _coordinator.DisposeAsync();
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_a_worker_got_others_get_from_it_and_the_coordinator_sends_nothing(bool tellsHashes)
    {
        Served.TellsHashes = tellsHashes;
        await AssignAsync(_giver);
        Assert.Equal(Names, Sent());
        await using var other = await GetterAsync();

        var news = await AssignAsync(other);
        Assert.Equal(Names, Sent());
        Assert.Equal("peers", news[^1].Source);
        Assert.Equal(Contents("giver"), Contents("other"));
        Assert.Equal(Names, Served.Here[^1]!.Order(StringComparer.Ordinal));   // from now on both have it
    }

    [Fact]
    public async Task A_worker_that_has_the_file_gives_all_of_it()
    {
        await using var owner = await StartAsync("owner", options => options with { ModelPath = _model.WriteGguf(_folder.File("model.gguf")) });
        await AssignAsync(owner);
        Assert.Null(Served.Here[^1]);
        Served.PeerOf = _ => PeerOf(owner);
        await using var other = await StartAsync("other");
        await AssignAsync(other);
        Assert.Empty(Sent());
        Assert.Equal(Names, Contents("other").Select(file => file.Split(' ')[0].Split(".0-")[0]).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task What_a_shard_is_given_up_for_stays_to_be_had()
    {
        await AssignAsync(_giver);
        await using var next = await StartAsync("next");
        await TestPipeline.AssignAsync(_giver, TestPipeline.PlanOf([_giver, next], Served.Digest, 3, 2), 0, "", Sharing);   // half of the layers
        await using var other = await GetterAsync();
        await AssignAsync(other, view: 3);
        Assert.Equal(Names, Sent());
    }

    [Fact]
    public async Task Other_bytes_are_refused_and_come_from_elsewhere()
    {
        await AssignAsync(_giver);
        var entry = Directory.GetFiles(FolderOf("giver")).Single(file => Path.GetFileName(file).StartsWith(Tensor, StringComparison.Ordinal));
        using (var file = File.Open(entry, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete))
        {
            file.Position = 40;
            var before = file.ReadByte();
            file.Position = 40;
            file.WriteByte((byte)(before ^ 1));
        }
        await using var other = await GetterAsync();
        await AssignAsync(other);

        Assert.Equal([.. Names, Tensor], Sent());
        Assert.Contains($"{Tensor} did not come from worker giver ({_giver.Host.Address.GetLeftPart(UriPartial.Authority)}), fetching it elsewhere: "
            + "its bytes are others than the coordinator's model has", other.Log.ToString());
        Assert.Single(other.Log.Lines, line => line.Contains("fetching it elsewhere"));
    }

    [Fact]
    public async Task A_peer_that_lacks_a_tensor_is_asked_for_the_others()
    {
        await AssignAsync(_giver);
        File.Delete(Directory.GetFiles(FolderOf("giver")).Single(file => Path.GetFileName(file).StartsWith(Tensor, StringComparison.Ordinal)));
        await using var other = await GetterAsync();
        await AssignAsync(other);
        Assert.Equal([.. Names, Tensor], Sent());
        Assert.Contains($"{Tensor} did not come from worker giver", other.Log.ToString());
        Assert.Contains($"{Tensor} is not here", other.Log.ToString());
    }

    [Fact]
    public async Task A_peer_that_nobody_reaches_is_done_without()
    {
        Served.PeerOf = _ => new Wire.WeightsPeer { WorkerId = "w9", Name = "gone", Address = "http://127.0.0.1:1", Key = PeerKey.Create().ToMessage() };
        await using var other = await StartAsync("other");
        await AssignAsync(other);
        Assert.Equal(Names, Sent());
        Assert.Contains("did not come from worker gone (http://127.0.0.1:1)", other.Log.ToString());
    }

    [Fact]
    public async Task A_peer_that_says_nothing_is_given_up()
    {
        await AssignAsync(_giver);
        var turns = _giver.Host.Services.GetRequiredService<GivingTurns>();
        for (var i = 0; i < GivingTurns.Streams; i++) await turns.TakeAsync(CancellationToken.None);
        Served.PeerOf = part => part.Tensor.Name == Tensor ? PeerOf(_giver) : null;
        await using var other = await StartAsync("other", options => options with { PeerTimeout = TimeSpan.FromSeconds(2) });
        await AssignAsync(other);
        Assert.Contains($"{Tensor} did not come from worker giver", other.Log.ToString());
        Assert.Contains("it is slow: 0 bytes in 1 s, fewer than 65536", other.Log.ToString());
        Assert.Equal(2, Sent().Count(name => name == Tensor));
    }

    [Fact]
    public async Task A_coordinator_that_does_not_say_who_has_parts_sends_them()
    {
        Served.PeerOf = _ => throw new InvalidOperationException("no sharing today");
        await AssignAsync(_giver);
        Assert.Equal(Names, Sent());
        Assert.Contains("because it does not say which workers have them", _giver.Log.ToString());
    }

    /// <summary>Several fetch from one that dies meanwhile.</summary>
    [Fact]
    public async Task A_peer_that_dies_in_the_middle_costs_nothing_but_its_bytes()
    {
        await AssignAsync(_giver);
        var peer = PeerOf(_giver);   // also once it is gone
        Served.PeerOf = _ => peer;
        var came = 0;
        var dies = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Served.OnShared = (_, isHere) =>
        {
            if (isHere && Interlocked.Increment(ref came) == 6) dies.TrySetResult();
        };
        await using var second = await StartAsync("second");
        await using var third = await StartAsync("third");
        Task<IReadOnlyList<Wire.LoadProgress>>[] loading = [AssignAsync(second), AssignAsync(third)];
        await dies.Task.Soon();
        await _giver.DisposeAsync();
        await Task.WhenAll(loading).Soon();
        Assert.Equal(Contents("second"), Contents("third"));
        Assert.Equal(Names.Length, Contents("third").Length);
    }

    [Fact]
    public async Task Rows_and_columns_of_what_a_worker_has_are_given_in_checked_chunks()
    {
        await AssignAsync(_giver);
        var tensor = _weights.Find(Tensor)!;
        var part = new TensorPart(tensor, 3, 20, 32, 32);
        var request = new Wire.GiveRequest { ViewVersion = 7, ModelDigest = Served.Digest, Part = CoordinatorWeights.ToMessage(part) };
        using var call = new Wire.PeerWeights.PeerWeightsClient(_giver.Calls).Give(request);
        var received = new List<byte>();
        while (await call.ResponseStream.MoveNext(CancellationToken.None).Soon())
        {
            Assert.Equal((7UL, (ulong)received.Count), (call.ResponseStream.Current.ViewVersion, call.ResponseStream.Current.Offset));
            received.AddRange(call.ResponseStream.Current.Data.Span);
        }
        var expected = new byte[part.Bytes];
        _weights.ReadPart(part, expected);
        Assert.Equal(expected, received);
    }

    public static TheoryData<StatusCode, Action<Wire.GiveRequest>> Wrong => new()
    {
        { StatusCode.InvalidArgument, request => request.ModelDigest = "digest" },
        { StatusCode.InvalidArgument, request => request.Part = null },
        { StatusCode.InvalidArgument, request => request.PartHash = "hash" },
        { StatusCode.InvalidArgument, request => request.Part.Name = "../../etc/passwd" },
        { StatusCode.InvalidArgument, request => request.Part.RowCount = 0 },
        { StatusCode.InvalidArgument, request => request.Part.RowCount = ulong.MaxValue },
        { StatusCode.InvalidArgument, request => request.Part.ColumnCount = 33 },
        { StatusCode.NotFound, request => request.ModelDigest = new string('0', 64) },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task What_cannot_be_given_is_refused(StatusCode code, Action<Wire.GiveRequest> change)
    {
        await AssignAsync(_giver);
        var request = new Wire.GiveRequest { ModelDigest = Served.Digest, Part = CoordinatorWeights.ToMessage(TensorPart.Whole(_weights.Find(Tensor)!)) };
        change(request);
        using var call = new Wire.PeerWeights.PeerWeightsClient(_giver.Calls).Give(request);
        var error = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None).Soon());
        Assert.Equal(code, error.StatusCode);
    }

    [Fact]
    public async Task A_worker_gives_to_a_few_and_lets_a_few_more_wait()
    {
        using var turns = new GivingTurns();
        var given = new List<IDisposable>();
        for (var i = 0; i < GivingTurns.Streams; i++) given.Add(await turns.TakeAsync(CancellationToken.None));
        var waiting = Enumerable.Range(0, GivingTurns.MostWaiting).Select(_ => turns.TakeAsync(CancellationToken.None)).ToList();
        var error = await Assert.ThrowsAsync<RpcException>(() => turns.TakeAsync(CancellationToken.None));
        Assert.Equal(StatusCode.ResourceExhausted, error.StatusCode);
        Assert.All(waiting, task => Assert.False(task.IsCompleted));

        foreach (var turn in given) turn.Dispose();
        for (var i = 0; i < GivingTurns.MostWaiting; i++)
        {
            var next = await Task.WhenAny(waiting).Soon();
            (await next).Dispose();
            waiting.Remove(next);
        }
        (await turns.TakeAsync(CancellationToken.None)).Dispose();
    }

    [Fact]
    public async Task Names_in_the_cache_are_read_back()
    {
        var cache = _giver.Host.Services.GetRequiredService<WeightsCache>();
        var tensor = _weights.Find(Tensor)!;
        TensorPart[] parts = [TensorPart.Whole(tensor), TensorPart.Rows(tensor, 3, 5), new TensorPart(tensor, 0, tensor.Rows, 32, 32)];
        foreach (var part in parts)
        {
            using var writer = cache.Create(Served.Digest, part);
            await writer.AppendAsync(new byte[part.Bytes], CancellationToken.None);
            writer.Commit().Dispose();
        }
        File.WriteAllText(Path.Combine(FolderOf("giver"), $"something.else.{new string('a', 64)}"), "");
        Assert.Equal(parts.ToHashSet(), cache.PartsOf(Served.Digest, _weights.Find).ToHashSet());
    }

    Task<TestWorker> StartAsync(string name, Func<WorkerOptions, WorkerOptions>? change = null) => TestWorker.StartAsync(options =>
    {
        var usual = options with { Coordinator = _coordinator.Address, CacheFolder = _folder.File(name) };
        return change?.Invoke(usual) ?? usual;
    });

    /// <summary>A worker of which the coordinator says that the giver has all it wants.</summary>
    Task<TestWorker> GetterAsync()
    {
        Served.PeerOf = _ => PeerOf(_giver);
        return StartAsync("other");
    }

    static Wire.WeightsPeer PeerOf(TestWorker worker) => new()
    {
        WorkerId = "w0",
        Name = "giver",
        Address = worker.Host.Address.GetLeftPart(UriPartial.Authority),
        Key = worker.Host.Services.GetRequiredService<ClusterOwner>().Key!.For(PeerKey.Weights).ToMessage(),
    };

    static void Sharing(Wire.AssignRequest order) => order.WeightsAreShared = true;

    Task<IReadOnlyList<Wire.LoadProgress>> AssignAsync(TestWorker worker, ulong view = 1) =>
        TestPipeline.AssignAsync(worker, TestPipeline.PlanOf([worker], Served.Digest, 3, view), 0, "", Sharing);

    /// <summary>What the coordinator has sent, in the order of the names, and of later calls behind.</summary>
    string[] Sent()
    {
        lock (Served.Requests)
        {
            var sent = Served.Requests.SelectMany(names => names).ToList();
            var again = sent.GroupBy(name => name).SelectMany(group => group.Skip(1));
            return [.. sent.Distinct().Order(StringComparer.Ordinal), .. again.Order(StringComparer.Ordinal)];
        }
    }

    string FolderOf(string cache) => Path.Combine(_folder.File(cache), Served.Digest);

    /// <summary>Names, with the hashes of what is in the files, and their contents' sizes.</summary>
    string[] Contents(string cache) =>
        [.. Directory.GetFiles(FolderOf(cache)).Order(StringComparer.Ordinal).Select(file =>
            $"{Path.GetFileName(file)} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(file)))}")];
}
