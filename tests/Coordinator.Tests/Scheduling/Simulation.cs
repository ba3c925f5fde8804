using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>
/// Runs a workload through a scheduler as the generation loop does, with steps that return in order. The next token depends on all
/// tokens before it, as with a real model, so neither preemption nor shared KV may change what a client gets.
/// </summary>
sealed class Simulation
{
    const int StopId = 7;
    readonly Workload _load;
    readonly StepScheduler _scheduler;
    readonly WorkerMirror _worker;
    readonly Queue<ScheduledStep> _inFlight = new();
    readonly Dictionary<ulong, Client> _clients = [];
    readonly int[][] _expected;
    readonly DiskTier? _disk;
    readonly Random _random;   // when disks answer

    sealed class Client(SequenceRun sequence, Workload.Arrival arrival)
    {
        public SequenceRun Sequence => sequence;

        public Workload.Arrival Arrival => arrival;

        public List<int> Tokens { get; } = [];

        public List<int> Prompt { get; } = [];

        public FinishReason? Finished { get; set; }

        public string? Failure { get; set; }

        public int Chunks { get; set; }
    }

    public Simulation(Workload load)
    {
        _load = load;
        var limits = new SchedulerLimits
        {
            StepsInFlight = load.Stages,
            MaxStepRows = load.MaxStepRows,
            MaxPromptRows = load.MaxPromptRows,
            MinPromptRows = 8,
            MaxRunning = load.MaxRunning,
            MaxWaiting = load.MaxWaiting,
            MaxWaitingPerClient = load.MaxWaitingPerClient,
            PromptLead = load.PromptLead,
            CachePrefixes = load.CachePrefixes,
            MaxDraftTokens = load.MaxDraftTokens,
            SessionHold = TimeSpan.FromSeconds(30),
        };
        var pool = new KvBlockPool(load.Blocks);
        _disk = load.DiskBlocks == 0 ? null : new DiskTier(pool, Workload.Disks, Workload.SpillsAtOnce);
        _scheduler = new StepScheduler(limits, pool, _disk);
        _worker = new WorkerMirror(load.Blocks, limits);
        if (_disk is not null) _worker.Disks = new FakeDisks(_worker.Kv, Workload.Disks, load.DiskBlocks, load.DiskSeed);
        _random = new Random(load.DiskSeed);
        _expected = [.. load.Arrivals.Select(Expected)];
    }

    public StepScheduler Scheduler => _scheduler;

    public FakeDisks? Disks => _worker.Disks;

    /// <summary>Blocks that were copied, in all.</summary>
    public int Copies { get; private set; }

    public void Run()
    {
        for (var tick = 0; !Idle(tick); tick++)
        {
            Assert.True(tick < 60_000, "the load does not come to an end");
            _scheduler.Advance(TimeSpan.FromSeconds(tick));
            if (_load.DiskSeed % 5 == 0 && tick == _load.DiskSeed / 5) _disk?.GiveUp();
            foreach (var (arrival, number) in _load.Arrivals.Select((arrival, number) => (arrival, number)))
            {
                if (arrival.AtTick == tick) Arrive((ulong)number + 1, arrival);
                if (arrival.PausedAtTick == tick && _clients.TryGetValue((ulong)number + 1, out var paused) && !paused.Sequence.Ended)
                    _scheduler.Pause(paused.Sequence);
                if (arrival.PausedAtTick + arrival.PausedFor == tick && _clients.TryGetValue((ulong)number + 1, out var resumed))
                    _scheduler.Resume(resumed.Sequence);
                if (arrival.CancelAtTick == tick && _clients.TryGetValue((ulong)number + 1, out var client)) _scheduler.Cancel(client.Sequence);
            }
            while (Schedule() is { } step) Execute(step);
            SchedulerInvariants.Check(_scheduler);
            _worker.End(_scheduler.TakeEnded());
            MoveBlocks();
            if (_clients.Values.Any(client => client.Sequence is { Ended: false, Paused: false }) && _disk is not { Restoring: > 0 })
                Assert.NotEmpty(_inFlight);
            for (var answers = _random.Next(3); answers > 0 && Disks is { AnyAnswer: true } disks; answers--) _disk!.Update(disks.Answer());
            if (_inFlight.TryDequeue(out var returned)) Update(returned);
        }
        _worker.End(_scheduler.TakeEnded());
        Assert.Empty(_worker.Sequences);
        EmptyDisks();
        Assert.Equal(_load.Blocks, _scheduler.Pool.Available);
        foreach (var client in _clients.Values) Check(client);
    }

    void MoveBlocks()
    {
        if (_disk?.TakeMoves() is { } moves) Disks!.Move(moves);
        Assert.InRange(Disks?.SpillsUnderWay ?? 0, 0, Workload.SpillsAtOnce);
    }

    /// <summary>As when the replica drains: at the end nothing is left to be written, and no block is held.</summary>
    void EmptyDisks()
    {
        for (var turn = 0; _disk is { IsIdle: false } or { Restoring: > 0 }; turn++)
        {
            Assert.True(turn < 1000, "the disks do not come to an end");
            MoveBlocks();
            while (Disks!.AnyAnswer) _disk!.Update(Disks.Answer());
        }
    }

    bool Idle(int tick) => tick > _load.Arrivals.Max(arrival => arrival.AtTick)
        && _inFlight.Count == 0 && _scheduler.WaitingCount == 0 && _scheduler.RunningCount == 0;

    void Arrive(ulong id, Workload.Arrival arrival)
    {
        var sampling = new SamplingOptions { PromptLogprobs = arrival.PromptLogprobs };
        var sequence = TestSequence.Of(id, new SequenceRequest(arrival.Prompt, sampling, arrival.MaxTokens, new HashSet<int> { StopId })
        {
            Priority = arrival.Priority,
            Client = arrival.Client,
            CacheSalt = arrival.CacheSalt,
            SessionKey = arrival.Own % 3 == 0 ? arrival.Client : null,
        });
        var fits = KvBlock.CountFor(arrival.PromptLength + Math.Max(0, arrival.MaxTokens - 1)) <= _load.Blocks;
        var queueFull = _scheduler.WaitingCount + _scheduler.RunningCount >= _load.MaxRunning + _load.MaxWaiting;
        var waiting = _clients.Values.Count(client =>
            client.Arrival.Client == arrival.Client && !client.Sequence.Ended && !_scheduler.Running.Contains(client.Sequence));
        var clientFull = waiting >= _load.MaxWaitingPerClient + _load.MaxRunning - _scheduler.RunningCount;
        var outcome = _scheduler.Add(sequence);
        Assert.Equal(!fits ? AddOutcome.NeverFits : queueFull ? AddOutcome.QueueFull : clientFull ? AddOutcome.ClientQueueFull : AddOutcome.Queued, outcome);
        if (outcome == AddOutcome.Queued) _clients[id] = new Client(sequence, arrival);
    }

    ScheduledStep? Schedule()
    {
        var before = _scheduler.Running.ToDictionary(sequence => sequence, sequence => sequence.StepsInFlight);
        var step = _scheduler.Schedule();
        SchedulerInvariants.CheckOrder(before, _scheduler.Running, _clients.Values.Select(client => client.Sequence), _load.CachePrefixes);
        return step;
    }

    void Execute(ScheduledStep step)
    {
        _worker.Run(step);
        _inFlight.Enqueue(step);
        Copies += step.Copies.Count;
        Assert.InRange(_inFlight.Count, 1, _load.Stages);
        Assert.InRange(step.Chunks.Where(chunk => chunk.Count - chunk.Drafts.Count > 1).Sum(chunk => chunk.Count), 0, _load.MaxPromptRows);
        Assert.InRange(_scheduler.RunningCount, 1, _load.MaxRunning);
    }

    void Update(ScheduledStep step)
    {
        foreach (var advance in _scheduler.Complete(step, [.. step.Chunks.Select(Result)]))
        {
            var client = _clients[advance.Run.Id];
            Assert.True(client is { Finished: null, Failure: null });
            client.Prompt.AddRange(advance.Prompt.Select(token => token.Id));
            client.Tokens.AddRange(advance.Tokens.Select(token => token.Id));
            (client.Finished, client.Failure) = (advance.Finished, advance.Failure);
            if (advance.Failure is not null) Assert.True(advance.Run is { Ended: true, Blocks.Count: 0 });
        }
    }

    ChunkResult Result(ScheduledChunk chunk)
    {
        var client = _clients[chunk.Run.Id];
        if (client.Chunks++ >= client.Arrival.FailsAfter) return ChunkResult.Failed("not finite");
        var (sequence, end) = (chunk.Run, chunk.Start + chunk.Count);
        List<SampledToken> prompt = [];
        if (sequence.Sampling.PromptLogprobs)
            for (var position = Math.Max(1, chunk.Start); position < Math.Min(end, sequence.Sequence.PromptLength); position++)
                prompt.Add(new SampledToken(sequence.Tokens[position], -1, []));
        return new ChunkResult([.. Sampled(chunk, _expected[sequence.Id - 1]).Select(id => new SampledToken(id, -1, []))], prompt);
    }

    /// <summary>What follows the last known token and then each draft, up to the first that is wrong.</summary>
    static IEnumerable<int> Sampled(ScheduledChunk chunk, int[] expected)
    {
        var next = chunk.Start + chunk.Count - chunk.SampleCount + 1 - chunk.Run.Sequence.PromptLength;
        for (var i = 0; i < chunk.SampleCount; i++, next++)
        {
            yield return expected[next];
            if (i < chunk.Drafts.Count && chunk.Drafts[i] != expected[next]) yield break;
        }
    }

    static int[] Expected(Workload.Arrival arrival)
    {
        var tokens = FakeModel.Continue(arrival.Prompt, arrival.MaxTokens);
        foreach (ref var token in tokens.AsSpan()) token = 1000 + token % arrival.Variety;
        return arrival.StopAfter > arrival.MaxTokens ? tokens : [.. tokens[..(arrival.StopAfter - 1)], StopId];
    }

    void Check(Client client)
    {
        var arrival = client.Arrival;
        if (client.Failure is not null) Assert.NotNull(arrival.FailsAfter);
        if (client.Finished is null)
        {
            if (client.Failure is not null) return;
            Assert.True(client.Sequence.Ended && arrival.CancelAtTick is not null, $"sequence {client.Sequence.Id} never finished");
            return;
        }
        var stops = arrival.StopAfter <= arrival.MaxTokens;
        Assert.Equal(stops ? FinishReason.Stop : FinishReason.Length, client.Finished);
        Assert.Equal(_expected[client.Sequence.Id - 1], client.Tokens);
        Assert.Equal(arrival.PromptLogprobs ? arrival.Prompt[1..] : [], client.Prompt);
        Assert.InRange(client.Sequence.Sequence.CachedTokens!.Value, 0, arrival.PromptLogprobs || !_load.CachePrefixes ? 0 : arrival.PromptLength - 1);
    }
}
