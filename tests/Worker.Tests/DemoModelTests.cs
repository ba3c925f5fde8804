using System.Text.Json;
using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Model.Weights;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Models;
using LlamaCluster.Worker.Tests.Fakes;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests;

/// <summary>The demo model through real workers, against what llama.cpp generated from the same file.</summary>
public class DemoModelTests
{
    static readonly string Path = SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf");
    static readonly string Digest = DigestOf(Path);

    /// <summary>Greedy, three steps for the prompt, then one a token; sampled log-probabilities must not depend on the split in any bit.</summary>
    [Fact]
    public async Task Generate_Through1To5Workers_GivesLlamaCppsTokens()
    {
        using var fixture = JsonDocument.Parse(File.ReadAllText(SharedFiles.Fixture("demo-q8_0-greedy.json")));
        var recorded = fixture.RootElement.GetProperty("cases")[0];
        int[] prompt = [.. recorded.GetProperty("prompt_tokens").EnumerateArray().Select(id => id.GetInt32())];
        int[] expected = [.. recorded.GetProperty("tokens").EnumerateArray().Select(id => id.GetInt32())];
        Wire.SampledToken[]? first = null;

        foreach (var count in new[] { 1, 2, 3, 5 })
        {
            await using var workers = await Workers.StartAsync(count, realModel: true);
            await using var pipeline = await TestPipeline.StartAsync(workers.All, Path, Digest, layers: 8);
            var sampled = await GenerateAsync(pipeline, prompt, expected.Length);
            Assert.Equal(expected, sampled.Select(token => token.Id));
            first ??= sampled;
            Assert.Equal(first.Select(token => token.Logprob), sampled.Select(token => token.Logprob));
        }
    }

    [Fact]
    public async Task Generate_WithStreamedWeights_GivesTheSameTokens()
    {
        using var cache = new TempFolder();
        using var weights = ModelFiles.Open(Path);
        await using var coordinator = await FakeCoordinator.StartAsync(weights);
        coordinator.Weights.ChunkBytes = 1 << 20;
        await using var workers = await Workers.StartAsync(
            2, options => options with { Coordinator = coordinator.Address, CacheFolder = cache.Path }, realModel: true);
        await using var pipeline = await TestPipeline.StartAsync(workers.All, "", Digest, layers: 8);
        Assert.Equal(2, coordinator.Weights.Requests.Count);
        var sampled = await GenerateAsync(pipeline, [2043, 2045, 289, 2046, 261, 377, 291, 910, 772, 30, 2047, 2045, 290, 2046, 261], 6);
        Assert.Equal([47, 803, 772, 1179, 256, 334], sampled.Select(token => token.Id));
    }

    /// <summary>Each rank fetches its own parts of tensors; five ranks share four KV heads.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(2, 1, 2)]
    public async Task Generate_ByRanksWithStreamedWeights_GivesTheSameTokens(params int[] ranks)
    {
        using var cache = new TempFolder();
        using var weights = ModelFiles.Open(Path);
        await using var coordinator = await FakeCoordinator.StartAsync(weights);
        coordinator.Weights.ChunkBytes = 1 << 20;
        await using var workers = await Workers.StartAsync(
            ranks.Sum(), options => options with { Coordinator = coordinator.Address, CacheFolder = cache.Path }, realModel: true);
        await using var pipeline = await TestPipeline.StartAsync(workers.All, "", Digest, layers: 8, ranks: ranks);
        var sampled = await GenerateAsync(pipeline, [2043, 2045, 289, 2046, 261, 377, 291, 910, 772, 30, 2047, 2045, 290, 2046, 261], 6);
        Assert.Equal([47, 803, 772, 1179, 256, 334], sampled.Select(token => token.Id));
    }

    /// <summary>
    /// Rounded by the workers out of files they find, or by the coordinator out of its own: the bits, and so the digest, are those of the Q8_0 file.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Generate_QuantisedWhileLoading_GivesTheTokensOfTheQuantisedFile(bool findsFiles)
    {
        using var cache = new TempFolder();
        var path = new QuantizedModelPath(SharedFiles.Demo("hf"), TensorType.Q8_0).ToString();
        using var weights = ModelFiles.Open(path);
        await using var coordinator = await FakeCoordinator.StartAsync(weights);
        coordinator.Weights.ChunkBytes = 1 << 20;
        await using var workers = await Workers.StartAsync(
            2, options => options with { Coordinator = coordinator.Address, CacheFolder = cache.Path }, realModel: true);
        await using var pipeline = await TestPipeline.StartAsync(workers.All, findsFiles ? path : "", weights.ComputeDigest(), layers: 8);
        Assert.Equal(findsFiles ? 0 : 2, coordinator.Weights.Requests.Count);
        var sampled = await GenerateAsync(pipeline, [2043, 2045, 289, 2046, 261, 377, 291, 910, 772, 30, 2047, 2045, 290, 2046, 261], 6);
        Assert.Equal([47, 803, 772, 1179, 256, 334], sampled.Select(token => token.Id));
    }

    [Fact]
    public void BufferBytes_OfAStage_AreWhatItTakesAndWhatWasForeseen()
    {
        using var weights = ModelFiles.Open(Path);
        using var threads = new ComputeThreads(1);
        var loader = new LlamaLoader(threads);
        foreach (var rows in new[] { 1, 7, 512 })
        {
            var shape = StageShape.Whole(8);
            using var parts = new LoadedParts();
            using var shard = loader.Load(weights, shape, StageSlice.Whole(weights.Config), parts, hashes: false, new Progress<long>(), default);
            var options = new StageOptions { KvBlockCount = 3, MaxStepRows = rows, MaxSequenceLength = 512 };
            var foreseen = loader.MemoryOf(weights, shape, StageSlice.Whole(weights.Config), options);
            Assert.Equal(new ShardMemory(shard.Bytes, shard.BufferBytes(options), shard.BytesPerBlock(options)), foreseen);
            using var stage = Assert.IsType<StageRunner>(shard.CreateStage(options, exchange: null));
            var buffers = stage.Bytes - 3 * shard.BytesPerBlock(options);
            Assert.InRange(shard.BufferBytes(options), buffers, buffers + buffers / 4);
        }
    }

    static async Task<Wire.SampledToken[]> GenerateAsync(TestPipeline pipeline, int[] prompt, int count)
    {
        var sampled = new List<Wire.SampledToken>();
        ulong stepId = 0;
        var start = 0;
        foreach (var part in prompt.Chunk(6))
        {
            var step = pipeline.Step(++stepId, start, part);
            start += part.Length;
            step.Chunks[0].SampleCount = start == prompt.Length ? 1 : 0;
            foreach (var facts in step.NewSequences) facts.PromptLength = (uint)prompt.Length;
            var result = await pipeline.ExecuteAsync(step);
            if (start == prompt.Length) sampled.Add(result.Sequences[0].Tokens[0]);
        }
        while (sampled.Count < count)
        {
            var result = await pipeline.ExecuteAsync(pipeline.Step(++stepId, start++, sampled[^1].Id));
            sampled.Add(result.Sequences[0].Tokens[0]);
        }
        return [.. sampled];
    }

    static string DigestOf(string path)
    {
        using var weights = ModelFiles.Open(path);
        return weights.ComputeDigest();
    }
}
