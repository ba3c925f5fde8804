using System.Collections.Concurrent;
using System.Diagnostics;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Hub;
using LlamaCluster.Worker;
using LlamaCluster.Worker.Tests.Fakes;
using Xunit.Abstractions;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Long.Tests;

/// <summary>
/// How fast a model of a thousand million weights is loaded, from its file, from a hub and from the cache, up to the worker's word that it is ready.
/// It fails where something else takes the processors. By hand:
/// <c>dotnet test tests/Long -c Release --filter Tests.LoadingRate --logger "console;verbosity=detailed"</c>.
/// </summary>
public sealed class LoadingRateTests(ITestOutputHelper output) : IDisposable
{
    const string Name = "model.gguf";
    const long LinkRate = 250_000_000;

    readonly TempFolder _folder = new();
    int _caches;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_hub_is_loaded_from_about_as_fast_as_its_link_and_a_file_are()
    {
        var path = RandomGguf.Write(_folder.File(Name));
        using var model = ModelFiles.Open(path);
        await using var hub = await FakeHub.StartAsync((Name, File.ReadAllBytes(path)));
        await using var coordinator = await FakeCoordinator.StartAsync(model);
        var hashes = new ConcurrentDictionary<TensorPart, string>();
        coordinator.Weights.ChunkBytes = 1 << 20;
        coordinator.Weights.HashOf = part => hashes.GetOrAdd(part, _ => PartHash.Compute(model, part, 2, null, CancellationToken.None));
        coordinator.Weights.OnDescribe = description => Describe(description, model, hub);
        var bytes = model.Tensors.Sum(tensor => tensor.Bytes);

        await LoadAsync("a hub, memory that is new to the process", coordinator, bytes, workers: 1, NewCache);
        Directory.Delete(_folder.File($"cache{_caches}"), recursive: true);
        hashes.Clear();
        await LoadAsync("a file, hashes not known", coordinator, bytes, workers: 1, options => options with { ModelPath = path });
        var file = await LoadAsync("a file", coordinator, bytes, workers: 1, options => options with { ModelPath = path });
        var free = await LoadAsync("a hub", coordinator, bytes, workers: 1, NewCache);
        hub.Rate = LinkRate;
        var one = await LoadAsync("a hub of 250 MB/s", coordinator, bytes, workers: 1, NewCache);
        var kept = _caches;
        var before = hub.Reads.Count;
        var three = await LoadAsync("a hub of 250 MB/s, three workers", coordinator, bytes, workers: 3, NewCache);
        var read = hub.Reads.Skip(before).Sum(read => read.Count);
        var reads = hub.Reads.Count;
        await LoadAsync("the cache", coordinator, bytes, workers: 1, options => options with { CacheFolder = _folder.File($"cache{kept}") });

        output.WriteLine($"read of the hub by three workers: {read} of {bytes} bytes; by one that starts again: {hub.Reads.Count - reads} times");
        var (alone, together) = (bytes / one / LinkRate, bytes / three / LinkRate);
        output.WriteLine($"of the file's rate: {file / free:0.00}; of the link's: {alone:0.00}, with three workers {together:0.00}");
        Assert.Equal(reads, hub.Reads.Count);
        Assert.InRange(read, bytes * 0.99, bytes * 1.001);
        Assert.True(alone >= 0.9 && together >= 0.9, "less than 0.9 of the link");
        Assert.True(file / free >= 0.8, "less than 0.8 of the rate of a file");
    }

    /// <returns>Seconds.</returns>
    async Task<double> LoadAsync(string from, FakeCoordinator coordinator, long bytes, int workers, Func<WorkerOptions, WorkerOptions> change)
    {
        List<TestWorker> started = [];
        try
        {
            for (var i = 0; i < workers; i++)
                started.Add(await TestWorker.StartAsync(options => change(options with
                {
                    Coordinator = coordinator.Address,
                    TrustDigest = false,
                    MemoryBytes = 8L << 30,
                    Threads = Math.Max(1, Environment.ProcessorCount / workers),
                }), realModel: true));
            var plan = TestPipeline.PlanOf(started, coordinator.Weights.Digest, coordinator.Weights.LayerCount, view: 1);
            var (clock, before) = (Stopwatch.StartNew(), Environment.CpuUsage.TotalTime);
            await Task.WhenAll(started.Select((worker, stage) => TestPipeline.AssignAsync(worker, plan, stage, "")));
            var seconds = clock.Elapsed.TotalSeconds;
            var processor = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
            output.WriteLine(
                $"{from}: {bytes / 1e6:0} MB in {seconds:0.00} s, {bytes / 1e6 / seconds:0} MB/s, "
                + $"{processor:0.00} s of the processors, with what the hub takes");
            return seconds;
        }
        finally
        {
            foreach (var worker in started) await worker.DisposeAsync();
        }
    }

    WorkerOptions NewCache(WorkerOptions options) => options with { CacheFolder = _folder.File($"cache{++_caches}") };

    static void Describe(Wire.ModelDescription description, IModelWeights model, FakeHub hub)
    {
        description.Hub = new Wire.HubFiles { Endpoint = $"{hub.Url}/", Repository = "org/model", Commit = FakeHub.Commit, Files = { Name } };
        foreach (var tensor in description.Tensors) (tensor.HubFile, tensor.HubOffset) = (1, (ulong)model.PlaceOf(model.Find(tensor.Name)!)!.Value.Offset);
    }
}
