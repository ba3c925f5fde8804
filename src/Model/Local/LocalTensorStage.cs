using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Adapters;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Ranks;
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
    readonly List<ShardAdapters> _adapters = [];
    readonly List<StageRunner> _runners = [];
    readonly StepOutcome[] _outcomes;
    int _inputRows;

    /// <exception cref="ModelFormatException">The weights cannot be read.</exception>
    public LocalTensorStage(
        IModelWeights source, StageShape shape, IReadOnlyList<StageSlice> slices, StageOptions options, PartsProgress? progress, CancellationToken cancellation,
        IReadOnlyDictionary<ulong, AdapterWeights>? adapters = null)
    {
        Shape = shape;
        _outcomes = new StepOutcome[slices.Count];
        _group = new LocalRankGroup(slices.Count, Deadline);
        _ranks = new ComputeThreads(slices.Count);
        try
        {
            foreach (var slice in slices) AddRank(source, slice, options, progress, cancellation, adapters);
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
        foreach (var adapters in _adapters) adapters.Dispose();
        foreach (var weights in _weights) weights.Dispose();
        foreach (var threads in _threads) threads.Dispose();
        _ranks.Dispose();
        _group.Dispose();
    }

    void AddRank(
        IModelWeights source, StageSlice slice, StageOptions options, PartsProgress? progress, CancellationToken cancellation,
        IReadOnlyDictionary<ulong, AdapterWeights>? adapters)
    {
        var threads = new ComputeThreads(1);
        _threads.Add(threads);
        var weights = ShardWeights.Load(source, Shape, slice, threads, progress?.NextPart(), cancellation);
        _weights.Add(weights);
        if (adapters is not null)
        {
            _adapters.Add(ShardAdapters.Load(adapters, source.Config, Shape, slice));
            options = options with { Adapters = _adapters[^1] };
        }
        _runners.Add(new StageRunner(source.Config, weights, Shape, options, threads, _group.Join(slice.Rank)));
    }

    struct Job : IComputeJob
    {
        public LocalTensorStage Stage;
        public Step Step;

        public readonly void Run(int thread, int threads) => Stage._outcomes[thread] = Stage._runners[thread].Run(Step);
    }
}

/// <summary>The ranks of a tensor group as threads of one process, which meet at a barrier.</summary>
/// <param name="deadline">How long a rank waits for the others.</param>
public sealed class LocalRankGroup(int rankCount, TimeSpan deadline) : IDisposable
{
    readonly Barrier _barrier = new(rankCount);
    readonly LocalRank?[] _ranks = new LocalRank?[rankCount];

    public int RankCount => rankCount;

    /// <summary>One rank's end, for one thread; each is taken once.</summary>
    public IRankExchange Join(int rank) =>
        _ranks[rank] is null ? _ranks[rank] = new LocalRank(this, rank) : throw new InvalidOperationException($"rank {rank} has joined already");

    public void Dispose() => _barrier.Dispose();

    LocalRank Peer(int rank) => _ranks[rank] ?? throw new InvalidOperationException($"rank {rank} has not joined");

    void Meet(int rank)
    {
        if (!_barrier.SignalAndWait(deadline)) throw new RankLostException(-1, $"rank {rank} waited {deadline.TotalSeconds:0.##} s for the other ranks");
    }

    sealed class LocalRank(LocalRankGroup group, int rank) : IRankExchange
    {
        // A part is read until all ranks have completed its sum. A rank that begins one that many later has met all of them since.
        readonly float[][] _parts = [.. Enumerable.Repeat(Array.Empty<float>(), 2 * IRankExchange.MaxSumsUnderWay)];
        readonly byte[][] _messages = [[], []];
        long _begun;
        long _completed;
        long _gathered;

        public int Rank => rank;

        public int RankCount => group.RankCount;

        public void BeginSum(ReadOnlySpan<float> own)
        {
            if (_begun - _completed == IRankExchange.MaxSumsUnderWay) throw new InvalidOperationException($"{IRankExchange.MaxSumsUnderWay} sums are open");
            _parts[_begun++ % _parts.Length] = own.ToArray();
        }

        public void CompleteSum(Span<float> own)
        {
            if (_completed == _begun) throw new InvalidOperationException("no sum is open");
            group.Meet(rank);
            var part = _completed++ % _parts.Length;
            for (var r = 0; r < RankCount; r++)
            {
                var other = group.Peer(r)._parts[part];
                if (other.Length != own.Length) throw new RankLostException(r, $"rank {r} gave {other.Length} numbers, rank {rank} {own.Length}");
                for (var i = 0; i < own.Length; i++) own[i] = r == 0 ? other[i] : own[i] + other[i];
            }
        }

        public void AllGather(ReadOnlySpan<byte> own)
        {
            if (_completed != _begun) throw new InvalidOperationException("a sum is open");
            _messages[++_gathered % _messages.Length] = own.ToArray();
            group.Meet(rank);
        }

        public ReadOnlySpan<byte> Gathered(int rank) => group.Peer(rank)._messages[_gathered % _messages.Length];
    }
}
