using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Inference;
using LlamaCluster.Worker.Loading;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>
/// A model whose tokens a test can foresee: embedding gives rows of the token's id, each layer adds 1, and the head "samples" the
/// row's value. So any pipeline of L layers answers token t with t + L. Tests hook into loading and running.
/// </summary>
sealed class FakeModel : IModelLoader
{
    public string InstructionSet => "fake";

    public int Threads => 1;

    /// <summary>Stages that exist: made and not yet disposed of.</summary>
    public int LiveStages;

    /// <summary>Weights that exist.</summary>
    public int LiveWeights;

    /// <summary>How often weights were loaded.</summary>
    public int Loads;

    /// <summary>Of the weights loaded last.</summary>
    public LlamaConfig? LoadedConfig { get; private set; }

    /// <summary>Called on the loading thread before weights are there.</summary>
    public Action<CancellationToken> OnLoad { get; set; } = _ => { };

    /// <summary>Called on the stage's thread; an outcome other than null is what the step ends with.</summary>
    public Func<Step, StepOutcome?> OnRun { get; set; } = _ => null;

    public Action<ulong> OnEnd { get; set; } = _ => { };

    public IReadOnlyList<TensorInfo> TensorsOf(IReadOnlyList<TensorInfo> all, StageShape shape, LlamaConfig config) =>
        [.. all.Where(tensor => Enumerable.Range(shape.FirstLayer, shape.LayerCount).Any(layer => tensor.Name.StartsWith($"blk.{layer}.", StringComparison.Ordinal)))];

    public IShardModel Load(IModelWeights weights, StageShape shape, IProgress<long> bytesLoaded, CancellationToken cancellation)
    {
        OnLoad(cancellation);
        LoadedConfig = weights.Config;
        long done = 0;
        foreach (var tensor in TensorsOf(weights.Tensors, shape, weights.Config))
        {
            cancellation.ThrowIfCancellationRequested();
            weights.ReadRows(tensor, 0, new byte[tensor.Bytes]);
            bytesLoaded.Report(done += tensor.Bytes);
        }
        Interlocked.Increment(ref Loads);
        Interlocked.Increment(ref LiveWeights);
        return new FakeShardModel(this, weights.Config, shape, done);
    }
}
