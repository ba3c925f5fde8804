using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Model.Weights;
using LlamaCluster.Worker.Models;

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

    /// <summary>Called when weights are given up.</summary>
    public Action OnForget { get; set; } = () => { };

    public IReadOnlyList<TensorPart> PartsOf(IReadOnlyList<TensorInfo> all, StageShape shape, StageSlice slice, LlamaConfig config) =>
        [.. new ShardParts(config, shape, slice).Of(all).Where(part => part.Tensor.Name.StartsWith("blk.", StringComparison.Ordinal))];

    public long BytesToLoad(IModelWeights weights, StageShape shape, StageSlice slice) =>
        PartsOf(weights.Tensors, shape, slice, weights.Config).Sum(part => part.Bytes);

    public IShardModel Load(IModelWeights weights, StageShape shape, StageSlice slice, IProgress<long> bytesLoaded, CancellationToken cancellation)
    {
        OnLoad(cancellation);
        LoadedConfig = weights.Config;
        long done = 0;
        foreach (var part in PartsOf(weights.Tensors, shape, slice, weights.Config))
        {
            cancellation.ThrowIfCancellationRequested();
            weights.ReadPart(part, new byte[part.Bytes]);
            bytesLoaded.Report(done += part.Bytes);
        }
        Interlocked.Increment(ref Loads);
        Interlocked.Increment(ref LiveWeights);
        return new FakeShardModel(this, weights.Config, shape, done);
    }
}
