using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Model.Weights;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>One stage of <see cref="TestModels.Grouped"/> (3 layers) with 16 blocks, steps of up to 40 rows and sequences of up to 100 positions.</summary>
sealed class TestStage : IDisposable
{
    public const int Blocks = 16;
    public const int MaxRows = 40;
    public const int MaxLength = 100;

    readonly ComputeThreads _threads = new(1);
    readonly ShardWeights _weights;

    public TestStage(int firstLayer = 0, int layers = 3, IModelWeights? weights = null)
    {
        using var source = weights ?? TestModels.Grouped.Weights();
        var shape = new StageShape(firstLayer, layers, 3);
        _weights = ShardWeights.Load(source, shape, _threads, null, CancellationToken.None);
        var options = new StageOptions { KvBlockCount = Blocks, KvType = KvType.F32, MaxStepRows = MaxRows, MaxSequenceLength = MaxLength };
        Runner = new StageRunner(source.Config, _weights, shape, options, _threads);
    }

    public StageRunner Runner { get; }

    public static SequenceStart Facts(ulong id, SamplingOptions? sampling = null, int promptLength = 4, int[]? history = null) =>
        new(id, sampling ?? new SamplingOptions(), promptLength, history ?? []);

    public static Chunk ChunkOf(ulong id, int start, int[] tokens, int[] newBlocks, int sampleCount = 0) =>
        new(id, start, tokens.Length, tokens, newBlocks, sampleCount);

    /// <summary>A step with one chunk; facts with the first one.</summary>
    public static Step StepOf(SequenceStart? facts, Chunk chunk) => new(facts is null ? [] : [facts], [chunk]);

    public IReadOnlyList<SequenceSamples> Complete(params Step[] steps)
    {
        IReadOnlyList<SequenceSamples> samples = [];
        foreach (var step in steps) samples = Assert.IsType<StepOutcome.Completed>(Runner.Run(step)).Samples;
        return samples;
    }

    public string Refuse(Step step) => Assert.IsType<StepOutcome.Refused>(Runner.Run(step)).Reason;

    public void Dispose()
    {
        Runner.Dispose();
        _weights.Dispose();
        _threads.Dispose();
    }
}
