using LlamaCluster.Cluster.Hub;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Hub;
using LlamaCluster.Testing.Models;
using LlamaCluster.Worker.Sources;
using LlamaCluster.Worker.Tests.Fakes;
using Phase = LlamaCluster.Protos.LoadProgress.Types.Phase;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Sources;

/// <summary>Workers whose coordinator says that a hub has the model's bytes.</summary>
public sealed class HubWeightsTests : IAsyncLifetime, IDisposable
{
    const string Name = "model.gguf";

    readonly TempFolder _folder = new();
    IModelWeights _served = null!;
    FakeHub _hub = null!;
    FakeCoordinator _coordinator = null!;
    string? _endpoint;

    FakeWeights Served => _coordinator.Weights;

    IEnumerable<TensorInfo> Matrices => _served.Tensors.Where(tensor => tensor.Rows > 1 && tensor.Name.StartsWith("blk.", StringComparison.Ordinal));

    public async Task InitializeAsync()
    {
        var path = (SyntheticModel.Small with { Type = TensorType.Q8_0 }).WriteGguf(_folder.File(Name));
        _served = ModelFiles.Open(path);
        _hub = await FakeHub.StartAsync((Name, File.ReadAllBytes(path)));
        _endpoint = $"{_hub.Url}/";
        _coordinator = await FakeCoordinator.StartAsync(_served);
        Served.OnDescribe = description =>
        {
            description.Hub = new Wire.HubFiles { Endpoint = _endpoint, Repository = "org/model", Commit = FakeHub.Commit, Files = { Name } };
            foreach (var tensor in description.Tensors)
                (tensor.HubFile, tensor.HubOffset) = (1, (ulong)_served.PlaceOf(_served.Find(tensor.Name)!)!.Value.Offset);
        };
    }

    public async Task DisposeAsync()
    {
        await _coordinator.DisposeAsync();
        await _hub.DisposeAsync();
        _served.Dispose();
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Three_workers_together_read_each_byte_of_the_layers_once_and_none_when_they_start_again()
    {
        for (var start = 1; start <= 2; start++)
        {
            await using var first = await StartAsync("first");
            await using var second = await StartAsync("second");
            await using var third = await StartAsync("third");
            TestWorker[] workers = [first, second, third];
            var news = await Task.WhenAll(workers.Select(worker => AssignAsync(workers, worker)));

            var wanted = Matrices.Select(tensor => (First: _served.PlaceOf(tensor)!.Value.Offset, tensor.Bytes)).OrderBy(place => place.First).ToList();
            var reads = _hub.Reads.OrderBy(read => read.From).ToList();
            Assert.All(wanted, place => Assert.Single(reads, read => read.From <= place.First && read.End >= place.First + place.Bytes));
            Assert.All(reads.Zip(reads.Skip(1)), pair => Assert.True(pair.First.End <= pair.Second.From));
            Assert.DoesNotContain(Served.Requests.SelectMany(names => names), name => Matrices.Any(tensor => tensor.Name == name));
            Assert.All(news, of => Assert.Equal(start == 1 ? "hub 127.0.0.1" : "cache", of[^1].Source.Split('/')[0].TrimEnd()));
        }
    }

    [Fact]
    public async Task What_breaks_off_goes_on_at_the_very_byte()
    {
        foreach (var cut in new[] { 1000, 30_000 }) _hub.Cuts.Enqueue(cut);
        await using var worker = await StartAsync("worker");
        await AssignAsync([worker], worker);

        var reads = _hub.Reads;
        Assert.Equal([1000, 31_000], reads.Skip(1).Select(read => read.From - reads[0].From));
        Assert.DoesNotContain("coordinator, because", worker.Log.ToString());
    }

    [Fact]
    public async Task Other_bytes_than_the_coordinators_are_fetched_from_it()
    {
        var tensor = _served.Find("blk.1.ffn_up.weight")!;
        var place = (int)_served.PlaceOf(tensor)!.Value.Offset;
        _hub.Change = content =>
        {
            byte[] changed = [.. content];
            changed[place + 40] ^= 1;
            return changed;
        };
        await using var worker = await StartAsync("worker");
        await AssignAsync([worker], worker);

        Assert.Equal(1, worker.Log.ToString().Split("blk.1.ffn_up.weight of 127.0.0.1 holds other bytes than the coordinator's model").Length - 1);
        Assert.Equal([tensor.Name], Served.Requests[^1]);
        Assert.Equal([tensor.Name], worker.Model.Read.GroupBy(name => name).Where(reads => reads.Count() > 1).Select(reads => reads.Key));
    }

    [Theory]
    [InlineData("gone", "there is no such model (404)")]
    [InlineData("whole", "127.0.0.1 does not give a part of model.gguf")]
    [InlineData("busy", "has had too many requests (429); it wants to be asked again in 5 min")]
    [InlineData("not for everybody", "(401): give a token, HF_TOKEN, and --hub or HF_ENDPOINT, for this worker")]
    [InlineData("unknown", "but not on which hub; give --hub URL or HF_ENDPOINT")]
    public async Task Where_the_hub_is_of_no_use_the_coordinator_has_it_all(string trouble, string said)
    {
        if (trouble == "gone") _endpoint = $"{_hub.Url}/other/";
        if (trouble == "whole") _hub.KnowsParts = false;
        if (trouble == "busy") (_hub.Refusals, _hub.RetryAfter) = (int.MaxValue, "300");
        if (trouble == "not for everybody") _hub.Token = "secret";
        if (trouble == "unknown") _endpoint = "";
        await using var worker = await StartAsync("worker");
        await AssignAsync([worker], worker);

        Assert.Equal(1, worker.Log.ToString().Split(said).Length - 1);
        Assert.Empty(Matrices.Select(tensor => tensor.Name).Except(Served.Requests.SelectMany(names => names)));
    }

    [Fact]
    public async Task A_workers_own_hub_goes_first_and_is_alone_shown_its_token()
    {
        await using var own = await FakeHub.StartAsync((Name, File.ReadAllBytes(_folder.File(Name))));
        own.Token = "secret";
        await using var worker = await StartAsync("worker", options => options with { Hub = new HubAccess(new Uri($"{own.Url}/"), "secret") });
        var news = await AssignAsync([worker], worker);

        Assert.Equal("hub 127.0.0.1", news[^1].Source);
        Assert.NotEmpty(own.Reads);
        Assert.Equal((true, false), (own.WasShownAToken, own.TokenLeaked));
        Assert.Empty(_hub.Reads);
        Assert.False(_hub.WasShownAToken);
    }

    [Fact]
    public async Task Layers_are_read_while_others_still_come()
    {
        var hasRead = new TaskCompletionSource();
        _endpoint = "";
        await using var worker = await StartAsync("worker");
        worker.Model.OnRead = (part, _) =>
        {
            if (part.Tensor.Name == "blk.1.attn_norm.weight") hasRead.TrySetResult();
        };
        Served.OnChunk = (chunk, _) =>
        {
            if (Served.Requests[0][chunk.TensorIndex].StartsWith("blk.2.", StringComparison.Ordinal))
                Assert.True(hasRead.Task.Wait(TimeSpan.FromSeconds(60)), "layer 0 was not read before layer 2 was sent");
        };
        var news = await AssignAsync([worker], worker);
        Assert.Equal([Phase.Opening, Phase.Fetching, Phase.Loading, Phase.Verifying, Phase.Ready], news.Select(of => of.Phase).Distinct());
    }

    [Fact]
    public void Runs_are_whole_parts_that_stand_together()
    {
        TensorInfo Matrix(string name, long rows) => new(name, TensorType.F32, rows, 1 << 18);   // rows of a mebibyte
        const long mebibyte = 1 << 20;
        TensorInfo[] tensors = [Matrix("a", 30), Matrix("b", 30), Matrix("c", 30), Matrix("d", 5000), Matrix("e", 1)];
        var places = new Dictionary<string, TensorPlace>
        {
            ["a"] = new("one", 1000),
            ["b"] = new("one", 1000 + 30 * mebibyte + 4096),
            ["c"] = new("one", 1000 + 60 * mebibyte + 4096),
            ["d"] = new("one", 1000 + 100 * mebibyte),
            ["e"] = new("two", 1000),
        };
        using var client = new HubClient(new HubAccess(new Uri("http://127.0.0.1:1/"), null), HubWeights.Manners, TimeProvider.System);
        using var hub = new HubWeights(client, new DescribedHub(null, "org/model", FakeHub.Commit, places), cache: null!, Served.Digest);

        var runs = hub.RunsOf([.. tensors.Reverse().Select(TensorPart.Whole)], 64 * mebibyte);
        Assert.Equal(["a b", "c", "d", "e"], runs.Select(run => string.Join(' ', run.Parts.Select(part => part.Part.Tensor.Name))));
        Assert.Equal((1000, 1000 + 60 * mebibyte + 4096), (runs[0].First, runs[0].End));
        Assert.Equal(3, hub.RunsOf([.. tensors[..3].Select(TensorPart.Whole)], 16 * mebibyte).Count);

        Assert.Equal(1000 + 5 * mebibyte, hub.RunsOf([TensorPart.Rows(tensors[0], 5, 10)], 16 * mebibyte)[0].First);
        Assert.True(hub.Has(TensorPart.Rows(tensors[0], 5, 10)));
        Assert.False(hub.Has(TensorPart.Columns(tensors[0], 0, 32)));
        Assert.False(hub.Has(TensorPart.Whole(tensors[4])));
    }

    /// <summary>At most about an eighth of a shard is under way at a time, unless that were too little to ask for.</summary>
    [Theory]
    [InlineData(10, 2, 16)]
    [InlineData(390, 3, 16)]
    [InlineData(1200, 8, 18)]
    [InlineData(4096, 8, 64)]
    [InlineData(100_000, 8, 64)]
    public void A_small_shard_is_fetched_in_few_small_runs_at_a_time(long mebibytes, int streams, long runMebibytes)
    {
        var division = HubWeights.Division(mebibytes << 20);
        Assert.Equal((streams, runMebibytes), (division.Streams, division.RunBytes >> 20));
    }

    Task<TestWorker> StartAsync(string cache, Func<WorkerOptions, WorkerOptions>? change = null) => TestWorker.StartAsync(options =>
    {
        var usual = options with { Coordinator = _coordinator.Address, CacheFolder = _folder.File(cache) };
        return change?.Invoke(usual) ?? usual;
    });

    Task<IReadOnlyList<Wire.LoadProgress>> AssignAsync(IReadOnlyList<TestWorker> stages, TestWorker worker) => TestPipeline.AssignAsync(
        worker, TestPipeline.PlanOf(stages, Served.Digest, 3, 1), stages.ToList().IndexOf(worker), "");
}
