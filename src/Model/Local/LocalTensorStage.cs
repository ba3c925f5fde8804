using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Model.Weights;

namespace LlamaCluster.Model.Local;

/// <summary>A stage that several ranks share, each with a thread of its own in this process. One caller at a time.</summary>
sealed class LocalTensorStage : IStage
{
    static readonly TimeSpan Deadline = TimeSpan.FromMinutes(1);

    readonly ComputeThreads _ranks;
    readonly LocalRankGroup _group;
    readonly List<ComputeThreads> _threads = [];
    readonly List<ShardWeights> _weights = [];
    readonly List<StageRunner> _runners = [];
    readonly StepOutcome[] _outcomes;
    int _inputRows;

    /// <exception cref="ModelFormatException">The weights cannot be read.</exception>
    public LocalTensorStage(
        IModelWeights source, StageShape shape, IReadOnlyList<StageSlice> slices, StageOptions options, PartsProgress? progress, CancellationToken cancellation)
    {
        Shape = shape;
        _outcomes = new StepOutcome[slices.Count];
        _group = new LocalRankGroup(slices.Count, Deadline);
        _ranks = new ComputeThreads(slices.Count);
        try
        {
            foreach (var slice in slices) AddRank(source, slice, options, progress, cancellation);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public StageShape Shape { get; }

    public ReadOnlySpan<float> Output => _runners[0].Output;

    public Span<float> Input(int rows)
    {
        _inputRows = rows;
        return _runners[0].Input(rows);
    }

    public StepOutcome Run(Step step)
    {
        foreach (var runner in _runners.Skip(_inputRows > 0 ? 1 : _runners.Count)) _runners[0].Input(_inputRows).CopyTo(runner.Input(_inputRows));
        _inputRows = 0;
        var job = new Job { Stage = this, Step = step };
        _ranks.Run(ref job);
        return _outcomes[0];
    }

    public void End(ulong sequenceId)
    {
        foreach (var runner in _runners) runner.End(sequenceId);
    }

    public void Dispose()
    {
        foreach (var runner in _runners) runner.Dispose();
        foreach (var weights in _weights) weights.Dispose();
        foreach (var threads in _threads) threads.Dispose();
        _ranks.Dispose();
        _group.Dispose();
    }

    void AddRank(IModelWeights source, StageSlice slice, StageOptions options, PartsProgress? progress, CancellationToken cancellation)
    {
        var threads = new ComputeThreads(1);
        _threads.Add(threads);
        var weights = ShardWeights.Load(source, Shape, slice, threads, progress?.NextPart(), cancellation);
        _weights.Add(weights);
        _runners.Add(new StageRunner(source.Config, weights, Shape, options, threads, _group.Join(slice.Rank)));
    }

    struct Job : IComputeJob
    {
        public LocalTensorStage Stage;
        public Step Step;

        public readonly void Run(int thread, int threads) => Stage._outcomes[thread] = Stage._runners[thread].Run(Step);
    }
}
