using System.Diagnostics.Metrics;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Coordinator.Benchmarks.Replay;

/// <summary>
/// Sends a made-up trace's requests to a replica, in virtual time. Replica, loop and scheduler are the real ones; the workers are a
/// <see cref="ModelledPipeline"/>. The same options give the same report, but for the processor time.
/// </summary>
sealed class TraceReplay
{
    const string Name = "replica-0";

    static readonly string Digest = new('0', ModelIdentity.DigestLength);

    static readonly TimeSpan Patience = TimeSpan.FromHours(24);

    readonly ReplayOptions _options;
    readonly PlanOutcome.Planned _planned;
    readonly VirtualTime _time = new();
    readonly CoordinatorMetrics _metrics;
    readonly ModelledPipeline _pipeline;
    readonly List<double> _waits = [];
    readonly List<double> _firstTokens = [];
    readonly List<double> _timesPerToken = [];
    readonly Levels _waiting = new();
    readonly Levels _running = new();
    readonly Levels _held = new();
    int _refused;
    long _promptTokens;
    long _outputTokens;

    TraceReplay(ReplayOptions options, PlanOutcome.Planned planned, IMeterFactory meters)
    {
        (_options, _planned) = (options, planned);
        _metrics = new CoordinatorMetrics(meters, time: _time);
        var predictor = new StepPredictor(planned.Problem, planned.Pipeline.Stages);
        _pipeline = new ModelledPipeline(predictor, planned.Pipeline.Stages.Count, planned.KvBlocks, _time, Observe);
    }

    /// <exception cref="ArgumentException">The model does not fit the cluster, or there is no such shape. The message is one line.</exception>
    public static ReplayReport Run(ReplayOptions options)
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var replay = new TraceReplay(options, Plan(options), services.GetRequiredService<IMeterFactory>());
        using var metrics = replay._metrics;
        using var stop = new CancellationTokenSource();
        var used = Environment.CpuUsage.TotalTime;
        var running = Task.CompletedTask;
        var report = replay._time.Run(() =>
        {
            var replica = replay.Begin(stop.Token, out running);
            return replay.ReplayAsync(replica);
        });
        stop.Cancel();   // outside of virtual time: asynchronously, the thread pool would do it, in its own time
        replay._time.Run(async () =>
        {
            await running;
            return true;
        });
        return report with { Processor = Environment.CpuUsage.TotalTime - used };
    }

    /// <param name="running">Ends once <paramref name="stop"/> says so.</param>
    Replica Begin(CancellationToken stop, out Task running)
    {
        var engine = new EngineOptions
        {
            MaxRunning = _options.Running,
            MaxWaiting = _options.Requests,
            MaxWaitingPerClient = _options.Requests,
            MaxWait = Patience,
            Speculate = false,   // all tokens are the same
        };
        var replica = new Replica(
            Name, engine, new ClusterDeadlines(), new ModelIdentity(_options.Shape, Digest), _metrics, _time, NullLogger<Replica>.Instance);
        replica.Attach(_pipeline);
        running = replica.RunAsync(stop);
        return replica;
    }

    async Task<ReplayReport> ReplayAsync(Replica replica)
    {
        List<Task> answers = [];
        foreach (var (number, request) in _options.Trace.Draw(_options.Requests, _options.Rate, _options.Burst, _options.Context, _options.Seed).Index())
        {
            await _time.WaitUntilAsync(request.Arrival);
            answers.Add(AnswerAsync(replica, number, request));
        }
        await Task.WhenAll(answers);
        return Report(_metrics.LevelsOf(Name).Preemptions);
    }

    async Task AnswerAsync(Replica replica, int number, TraceRequest request)
    {
        int[] prompt = [number, .. Enumerable.Repeat(7, request.Prompt - 1)];
        var stream = replica.Submit([new SequenceRequest(prompt, new SamplingOptions(), request.Output, new HashSet<int>())])[0];
        stream.Keys.Compute();   // or the thread pool would, in its own time
        await foreach (var happened in stream.ReadAllAsync(CancellationToken.None))
            switch (happened)
            {
                case SequenceEvent.Finished { Times: { } times }:
                    Note(request, times);
                    break;
                case SequenceEvent.Refused:
                    _refused++;
                    break;
                case SequenceEvent.Failed { Message: var message }:
                    throw new InvalidOperationException($"request {number} failed: {message}");
            }
    }

    void Note(TraceRequest request, SequenceTimes times)
    {
        var first = times.FirstToken!.Value;
        _waits.Add(times.Begun!.Value.TotalSeconds);
        _firstTokens.Add(first.TotalSeconds);
        if (request.Output > 1) _timesPerToken.Add((times.LastToken!.Value - first).TotalSeconds / (request.Output - 1));
        (_promptTokens, _outputTokens) = (_promptTokens + request.Prompt, _outputTokens + request.Output);
    }

    /// <summary>The replica's numbers are those of its last turn.</summary>
    void Observe()
    {
        var levels = _metrics.LevelsOf(Name);
        _waiting.Add(levels.Waiting);
        _running.Add(levels.Running);
        _held.Add(levels.BlocksHeld);
    }

    ReplayReport Report(long preemptions)
    {
        foreach (var times in new[] { _waits, _firstTokens, _timesPerToken }) times.Sort();
        var elapsed = _time.Now;
        var predicted = _planned.Pipeline.Prediction.Streams[^1];
        return new ReplayReport(
            FormattableString.Invariant($"{_options.Shape} {_options.Quant} on {_options.Workers} workers: {_planned.Pipeline.Choice}; ")
            + FormattableString.Invariant($"predicted {predicted.TokensPerSecond:0} tokens/s with {predicted.Streams} streams"),
            _waits.Count, _refused, elapsed, _promptTokens, _outputTokens)
        {
            Waits = _waits,
            FirstTokens = _firstTokens,
            TimesPerToken = _timesPerToken,
            Waiting = (_waiting.Mean, _waiting.Most),
            Running = (_running.Mean, _running.Most),
            KvUse = (_held.Mean / _planned.KvBlocks, (double)_held.Most / _planned.KvBlocks),
            Preemptions = preemptions,
            Steps = _pipeline.Steps,
            RowsPerStep = (double)_pipeline.Rows / Math.Max(1, _pipeline.Steps),
            Busy = [.. _pipeline.Busy.Select(busy => busy / elapsed)],
        };
    }

    static PlanOutcome.Planned Plan(ReplayOptions options)
    {
        var config = ModelShape.Parse(options.Shape).Config;
        var tensors = TensorMix.TensorsOf(config, options.Quant)
            ?? throw new ArgumentException($"--replay: '{options.Quant}' is none of {string.Join(", ", TensorMix.Names)}");
        var workers = Enumerable.Range(0, options.Workers).Select(WorkerOf).ToList();
        var request = new PlanRequest(
            1, new ModelIdentity(options.Shape, Digest), ModelFootprints.Of(options.Shape, config, tensors, KvType.F16), workers,
            TensorParallel: null, BufferBytes: 1_000_000_000, KvBlock.CountFor(options.KvTokens), KvBlock.CountFor(options.Context))
        {
            Context = options.Context,
            Streams = Math.Min(32, options.Running),
            // 20 us, and what two calls of gRPC take of a measured round trip.
            Links = new Dictionary<(string, string), Link> { [("host0", "host1")] = new(180e-6, 12.5e9) },
        };
        return ClusterPlanner.Plan(request) switch
        {
            PlanOutcome.Planned planned => planned,
            PlanOutcome.Refused refused => throw new ArgumentException($"--replay: {refused.Reason}"),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };
    }

    /// <summary>A worker of docs/clusters/eight-fast-machines.yaml.</summary>
    static CandidateWorker WorkerOf(int number) => new(
        new WorkerId($"w{number}"), $"worker{number}", new Uri($"http://host{number}:5000"),
        new MachineFacts(MemoryBytes: 120_000_000_000, Threads: 56, MemoryReadBytesPerSecond: 245.76e9, MultiplyAddsPerSecond: 11.2e12)
        {
            HostId = $"host{number}",
        });

    /// <summary>The mean and the most of a number that is looked at again and again.</summary>
    sealed class Levels
    {
        long _sum;
        int _count;

        public int Most { get; private set; }

        public double Mean => (double)_sum / Math.Max(1, _count);

        public void Add(int level)
        {
            (_sum, _count) = (_sum + level, _count + 1);
            Most = Math.Max(Most, level);
        }
    }
}
