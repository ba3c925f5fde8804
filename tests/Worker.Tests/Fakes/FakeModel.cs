using System.Collections.Concurrent;
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

    readonly TaskCompletionSource _stageGone = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when a stage has been disposed of, and none is left.</summary>
    public Task StagesGone => _stageGone.Task;

    public void StageGone()
    {
        if (Interlocked.Decrement(ref LiveStages) == 0) _stageGone.TrySetResult();
    }

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

    /// <summary>Called on the loading thread before a part is read that is not in memory.</summary>
    public Action<TensorPart, CancellationToken> OnRead { get; set; } = (_, _) => { };

    /// <summary>KV blocks that were put back, of whatever stage.</summary>
    public ConcurrentDictionary<int, byte[]> Blocks { get; } = [];

    /// <summary>The tensors whose parts were read, in order, over all loads.</summary>
    public List<string> Read { get; } = [];

    public IReadOnlyList<TensorPart> PartsOf(IModelWeights weights, StageShape shape, StageSlice slice) =>
        [.. new ShardParts(weights.Config, shape, slice).Of(weights.Tensors).Where(part => part.Tensor.Name.StartsWith("blk.", StringComparison.Ordinal))];

    public ShardMemory MemoryOf(IModelWeights weights, StageShape shape, StageSlice slice, StageOptions options) =>
        new(PartsOf(weights, shape, slice).Sum(part => part.Bytes), 0, FakeShardModel.BlockBytes);

    public IShardModel Load(
        IModelWeights weights, StageShape shape, StageSlice slice, LoadedParts parts, bool hashes, IProgress<long> bytesLoaded, CancellationToken cancellation)
    {
        OnLoad(cancellation);
        LoadedConfig = weights.Config;
        long done = 0;
        var needed = PartsOf(weights, shape, slice);
        parts.KeepOnly(needed);
        foreach (var part in needed)
        {
            cancellation.ThrowIfCancellationRequested();
            if (parts.Find(part) is null) parts.Add(ReadPart(weights, part, hashes, cancellation));
            bytesLoaded.Report(done += part.Bytes);
        }
        Interlocked.Increment(ref Loads);
        Interlocked.Increment(ref LiveWeights);
        return new FakeShardModel(this, weights.Config, shape, done);
    }

    LoadedPart ReadPart(IModelWeights weights, TensorPart part, bool hashes, CancellationToken cancellation)
    {
        OnRead(part, cancellation);
        lock (Read) Read.Add(part.Tensor.Name);
        var stored = new byte[part.Bytes];
        weights.ReadPart(part, stored);
        using var hasher = new PartHasher(part);
        hasher.Append(stored);
        return new LoadedPart(part, null, null, hashes ? hasher.Finish() : null);
    }
}
