using LlamaCluster.Planning.Plans;
using LlamaCluster.Testing;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>
/// Workers with the demo model, for tests of the KV that the first two have when they have served a prompt of 40 tokens: two of its blocks are full.
/// </summary>
sealed class ServedDemo : IAsyncDisposable
{
    public const int Layers = 8;

    readonly Workers _workers;

    ServedDemo(Workers workers, string digest) => (_workers, Digest) = (workers, digest);

    public static string Path { get; } = SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf");

    public static int[] Prompt { get; } = [.. Enumerable.Range(0, 40).Select(i => 300 + 7 * i)];

    /// <summary>The model's.</summary>
    public string Digest { get; }

    public TestWorker this[int worker] => _workers[worker];

    public static async Task<ServedDemo> StartAsync(int workers)
    {
        using var weights = Model.Formats.Paths.ModelFiles.Open(Path);
        return new ServedDemo(await Workers.StartAsync(workers, realModel: true), weights.ComputeDigest());
    }

    /// <summary>The prompt through workers 0 and 1, in two steps.</summary>
    public async Task<Wire.SampledToken> ServeAsync(Action<Wire.AssignRequest>? change = null, int[]? ranks = null)
    {
        await using var pipeline = await TestPipeline.StartAsync([_workers[0], _workers[1]], Path, Digest, Layers, change: change, ranks: ranks);
        var first = pipeline.Step(1, 0, Prompt[..20]);
        (first.Chunks[0].SampleCount, first.NewSequences[0].PromptLength) = (0, (uint)Prompt.Length);
        await pipeline.ExecuteAsync(first);
        return (await pipeline.ExecuteAsync(pipeline.Step(2, 20, Prompt[20..]))).Sequences[0].Tokens[0];
    }

    /// <summary>Stages of some workers, each with as many layers.</summary>
    public ClusterPlan Plan(ulong view, params (int Worker, int Layers)[] stages)
    {
        var first = 0;
        return ClusterPlan.Create(view, "test", Digest, Layers, [.. stages.Index().Select(stage => new ShardAssignment(
            new WorkerId($"w{stage.Item.Worker}"), _workers[stage.Item.Worker].Host.Address, stage.Index,
            new Shard(new LayerRange((first += stage.Item.Layers) - stage.Item.Layers, stage.Item.Layers), TensorSlice.Whole)))]);
    }

    public ValueTask DisposeAsync() => _workers.DisposeAsync();
}
