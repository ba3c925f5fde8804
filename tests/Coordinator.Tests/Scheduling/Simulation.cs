using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Model.Inference;

namespace LlamaCluster.Coordinator.Tests.Scheduling;

/// <summary>
/// Runs a workload through a scheduler as the generation loop does, with steps that return in order. The token at a position depends
/// on nothing but the sequence and the position, as with a real model, so preemption must not change what a client gets.
/// </summary>
sealed class Simulation
{
    const int StopId = 7;
    readonly Workload _load;
    readonly StepScheduler _scheduler;
    readonly WorkerMirror _worker;
    readonly Queue<ScheduledStep> _inFlight = new();
    readonly Dictionary<ulong, Client> _clients = [];

    sealed class Client(Sequence sequence, Workload.Arrival arrival)
    {
        public Sequence Sequence => sequence;

        public Workload.Arrival Arrival => arrival;

        public List<int> Tokens { get; } = [];

        public List<int> Prompt { get; } = [];

        public FinishReason? Finished { get; set; }
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
        };
        _scheduler = new StepScheduler(limits, new KvBlockPool(load.Blocks));
        _worker = new WorkerMirror(load.Blocks, limits);
    }

    public StepScheduler Scheduler => _scheduler;

    public void Run()
    {
        for (var tick = 0; !Idle(tick); tick++)
        {
            Assert.True(tick < 60_000, "the load does not come to an end");
            foreach (var (arrival, number) in _load.Arrivals.Select((arrival, number) => (arrival, number)))
            {
                if (arrival.AtTick == tick) Arrive((ulong)number + 1, arrival);
                if (arrival.CancelAtTick == tick && _clients.TryGetValue((ulong)number + 1, out var client)) _scheduler.Cancel(client.Sequence);
            }
            while (_scheduler.Schedule() is { } step) Execute(step);
            _worker.End(_scheduler.TakeEnded());
            if (_scheduler.WaitingCount + _scheduler.RunningCount > 0) Assert.NotEmpty(_inFlight);
            if (_inFlight.TryDequeue(out var returned)) Update(returned);
        }
        _worker.End(_scheduler.TakeEnded());
        Assert.Empty(_worker.Sequences);
        Assert.Equal(_load.Blocks, _scheduler.Pool.Free);
        foreach (var client in _clients.Values) Check(client);
    }

    bool Idle(int tick) => tick > _load.Arrivals.Max(arrival => arrival.AtTick)
        && _inFlight.Count == 0 && _scheduler.WaitingCount == 0 && _scheduler.RunningCount == 0;

    void Arrive(ulong id, Workload.Arrival arrival)
    {
        var prompt = Enumerable.Range(0, arrival.PromptLength).Select(position => 1000 + position).ToArray();
        var sampling = new SamplingOptions { PromptLogprobs = arrival.PromptLogprobs };
        var sequence = new Sequence(id, prompt, sampling, arrival.MaxTokens, new HashSet<int> { StopId });
        var fits = KvBlockPool.BlocksFor(arrival.PromptLength + Math.Max(0, arrival.MaxTokens - 1)) <= _load.Blocks;
        var queueFull = _scheduler.WaitingCount >= _load.MaxWaiting;   // preempted sequences wait too, above the bound
        var outcome = _scheduler.Add(sequence);
        Assert.Equal(!fits ? AddOutcome.NeverFits : queueFull ? AddOutcome.QueueFull : AddOutcome.Queued, outcome);
        if (outcome == AddOutcome.Queued) _clients[id] = new Client(sequence, arrival);
    }

    void Execute(ScheduledStep step)
    {
        _worker.Run(step);
        _inFlight.Enqueue(step);
        Assert.InRange(_inFlight.Count, 1, _load.Stages);
        Assert.InRange(step.Chunks.Where(chunk => chunk.Count > 1).Sum(chunk => chunk.Count), 0, _load.MaxPromptRows);
    }

    void Update(ScheduledStep step)
    {
        foreach (var advance in _scheduler.Complete(step, [.. step.Chunks.Select(Result)]))
        {
            var client = _clients[advance.Sequence.Id];
            Assert.Null(client.Finished);
            client.Prompt.AddRange(advance.Prompt.Select(token => token.Id));
            client.Tokens.AddRange(advance.Tokens.Select(token => token.Id));
            client.Finished = advance.Finished;
        }
    }

    ChunkResult Result(ScheduledChunk chunk)
    {
        var (sequence, end) = (chunk.Sequence, chunk.Start + chunk.Count);
        List<SampledToken> prompt = [];
        if (sequence.Sampling.PromptLogprobs)
            for (var position = Math.Max(1, chunk.Start); position < Math.Min(end, sequence.PromptLength); position++)
                prompt.Add(new SampledToken(1000 + position, -1, []));
        return new ChunkResult(chunk.SampleCount == 0 ? [] : [new SampledToken(TokenAt(sequence.Id, end), -1, [])], prompt);
    }

    int TokenAt(ulong id, int position)
    {
        var arrival = _load.Arrivals[id - 1];
        return position - arrival.PromptLength + 1 == arrival.StopAfter ? StopId : 100 + position;
    }

    void Check(Client client)
    {
        var arrival = client.Arrival;
        if (client.Finished is null)
        {
            Assert.True(client.Sequence.Ended && arrival.CancelAtTick is not null, $"sequence {client.Sequence.Id} never finished");
            return;
        }
        var stops = arrival.StopAfter <= arrival.MaxTokens;
        var length = stops ? arrival.StopAfter : arrival.MaxTokens;
        Assert.Equal(stops ? FinishReason.Stop : FinishReason.Length, client.Finished);
        Assert.Equal(Enumerable.Range(arrival.PromptLength, length).Select(position => TokenAt(client.Sequence.Id, position)), client.Tokens);
        Assert.Equal(arrival.PromptLogprobs ? Enumerable.Range(1001, arrival.PromptLength - 1) : [], client.Prompt);
    }
}
