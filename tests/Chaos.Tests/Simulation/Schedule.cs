using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Primitives;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>What one seed gave.</summary>
sealed record ScheduleReport(ulong Seed, IReadOnlyList<string> Problems, ulong Trace, long Events, TimeSpan Time, ScheduleCounts Counts);

/// <summary>What happened, so that it can be seen that it does happen.</summary>
sealed record ScheduleCounts(int Kills, int Freezes, int Cuts, int Leaves, int Restarts, int Requests, ulong Views)
{
    /// <summary>How the KV of positions came to be there that were known in an earlier view.</summary>
    public required SimPositions Positions { get; init; }

    /// <summary>Rows of journals that were sent in place of computed ones.</summary>
    public required int Replayed { get; init; }
}

/// <summary>
/// One schedule: a cluster, requests and faults, all drawn from a seed. Requests come while there are faults, and most faults soon after a request, since those
/// that meet an idle cluster show little. After some time the faults stop and everybody is started again. Then every request
/// must end, the cluster must get ready, and nothing may be left over.
/// </summary>
sealed class Schedule
{
    /// <summary>
    /// Of simulated time, for requests to end. The slowest machines take some 12 minutes for what four of the longest requests want; what hangs never ends.
    /// </summary>
    static readonly TimeSpan Patience = TimeSpan.FromMinutes(30);

    /// <summary>
    /// More than the faults of a schedule can cause. A request that ends workers and is alone ends all four of them each second that they are started again,
    /// until it has waited for as long as sequences may.
    /// </summary>
    const ulong MostViews = 300;

    readonly Simulator _simulator;
    readonly SeededRandom _random;
    readonly SimCluster _cluster;
    readonly List<SimMachine> _machines = [];
    readonly List<int[]> _prefixes = [];
    readonly SimProcess _keeper;   // restarts and thaws others
    readonly bool _isHarmful, _isCalm;
    int _kills, _freezes, _cuts, _leaves, _restarts, _requests;

    Schedule(ulong seed, KvClaim claim, Action<string>? log)
    {
        _simulator = new Simulator(seed) { Log = log };
        _random = _simulator.Random;
        _keeper = new SimProcess(_simulator, "keeper#0", 0);
        var model = new SimModel(layers: _random.Between(2, 8));
        var faults = new NetworkFaults(
            Longest: _random.Time(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(300)),
            Breaks: _random.Chance(0.5) ? 0 : _random.Of(0.00003, 0.0003), Duplicates: _random.Of(0, 0.02, 0.2));
        _cluster = new SimCluster(_simulator, new SimNetwork(_simulator, faults), model, OptionsOf(model)) { Claim = claim };
        var machines = _cluster.Options.Workers + _random.Between(0, 2);
        for (var i = 0; i < machines; i++) _machines.Add(NewMachine());
        for (var i = 0; i < 3; i++) _prefixes.Add([.. Enumerable.Range(0, _random.Between(1, 120)).Select(_ => _random.Below(60))]);
        _isHarmful = _random.Chance(0.15);
        _isCalm = _isHarmful && _random.Chance(0.15);
    }

    /// <param name="log">Gets what happens, line by line; null: nobody reads it.</param>
    /// <param name="claim">What workers say of the KV that they keep.</param>
    public static ScheduleReport Run(ulong seed, Action<string>? log = null, KvClaim claim = KvClaim.True)
    {
        var schedule = new Schedule(seed, claim, log);
        using var cluster = schedule._cluster;
        schedule.Run();
        var simulator = schedule._simulator;
        var counts = new ScheduleCounts(
            schedule._kills, schedule._freezes, schedule._cuts, schedule._leaves, schedule._restarts, schedule._requests,
            (schedule._cluster.Coordinator?.Status.ViewVersion ?? 0) % ClusterOwnership.ViewsPerEpoch)
        { Positions = schedule._cluster.Positions, Replayed = schedule._cluster.Replayed };
        return new ScheduleReport(seed, [.. simulator.Problems], simulator.Trace, simulator.Events, TimeSpan.FromTicks(simulator.Now), counts);
    }

    SupervisorOptions OptionsOf(SimModel model)
    {
        var workers = _random.Between(1, Math.Min(4, model.Layers));
        var ranks = workers > 1 && _random.Chance(0.25) ? 2 : 1;
        var engine = new EngineOptions
        {
            MaxStepRows = 32,
            MaxPromptRows = _random.Of(8, 16, 31),
            MaxRunning = _random.Of(2, 4, 8),
            MaxWaiting = _random.Of(6, 32),
            MaxWaitingPerClient = 6,
            MaxUnreadTokens = 16,
            CachePrefixes = _random.Chance(0.85),
            Speculate = _random.Chance(0.5),
            KvTokens = 16 * KvBlocks,
        };
        return new SupervisorOptions(
            SimModel.Identity, model.Footprint, "", workers, _random.Between(1, workers), ranks, PlanObjective.Throughput, 8,
            MaxSequenceLength: 256, SimModel.Vocabulary, BufferBytes: 1000, KvBlocks, engine, new ClusterDeadlines
            {
                Step = TimeSpan.FromSeconds(30),
                WaitForWorkers = TimeSpan.FromSeconds(10),
            });
    }

    /// <summary>Few, so that sequences take each other's.</summary>
    int KvBlocks => field == 0 ? field = _random.Of(16, 24, 48) : field;

    SimMachine NewMachine()
    {
        var number = _machines.Count + 1;
        var isSlow = _random.Chance(0.1);
        return new SimMachine(
            $"machine{number}", new Uri($"http://machine{number}:9091"), MemoryBytes: 0,
            StepTime: _random.Time(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(isSlow ? 500 : 30)),
            LoadTime: _random.Time(TimeSpan.FromMilliseconds(10), TimeSpan.FromSeconds(isSlow ? 5 : 0.5)), KvBlocks)
        {
            LoadFailures = _random.Chance(0.2) ? 0.05 : 0,
            HasJournal = _random.Chance(0.6),
        };
    }

    void Run()
    {
        _cluster.StartCoordinator();
        foreach (var machine in _machines) _cluster.Start(machine);
        if (_isCalm) _simulator.Run(() => false, 1.1 * PoisonWatch.Calm);
        var faultsEnd = _simulator.Now + _random.Time(TimeSpan.FromSeconds(4), TimeSpan.FromSeconds(30)).Ticks;
        var requests = _random.Between(4, 16);
        var nextFault = NextFault();
        var nextRequest = NextRequest();
        while (_simulator.Now < faultsEnd && _simulator.Problems.Count == 0)
        {
            var next = Math.Min(Math.Min(nextFault, _requests < requests ? nextRequest : long.MaxValue), faultsEnd);
            _simulator.Run(() => false, TimeSpan.FromTicks(Math.Max(0, next - _simulator.Now)));
            if (next == nextRequest && _requests < requests)
            {
                _cluster.Add(NewRequest());
                nextRequest = NextRequest();
                if (_random.Chance(0.5))
                    nextFault = Math.Min(nextFault, _simulator.Now + _random.Time(TimeSpan.FromMilliseconds(5), TimeSpan.FromSeconds(1)).Ticks);
            }
            else if (next == nextFault)
            {
                if (!_isCalm) Fault();
                nextFault = NextFault();
            }
        }
        Mend();
        if (!_simulator.Run(() => _cluster.Requests.All(request => request.IsDone), Patience))
            _simulator.Fail(
                $"still open after {Patience}: {string.Join(", ", _cluster.Requests.Where(request => !request.IsDone))}; "
                + $"{_cluster.Coordinator?.Scheduler}; {_cluster.Coordinator?.Status}");
        CheckQuiet();
    }

    /// <summary>Nobody harms anybody any more, and everybody is here.</summary>
    void Mend()
    {
        if (_simulator.Problems.Count > 0) return;
        _simulator.Note($"the faults are over");
        _cluster.Network.IsSound = true;
        foreach (var worker in _cluster.Workers) worker.Process.Thaw();
        if (_cluster.Coordinator is { } coordinator) coordinator.Process.Thaw();
        else _cluster.StartCoordinator();
        RestartWorkers();
    }

    /// <summary>Whoever is killed by a prompt from now on is started again, too.</summary>
    void RestartWorkers()
    {
        foreach (var machine in _machines) _cluster.Start(machine);
        _keeper.Clock.CreateTimer(_ => RestartWorkers(), null, TimeSpan.FromSeconds(1), Timeout.InfiniteTimeSpan);
    }

    void CheckQuiet()
    {
        if (!_simulator.Run(() => _cluster.Coordinator is { Status.IsReady: true }, Patience)) _simulator.Fail($"not ready: {_cluster.Coordinator?.Status}");
        _simulator.Run(() => false, TimeSpan.FromSeconds(5));
        if (_simulator.Problems.Count > 0) return;
        var scheduler = _cluster.Coordinator!.Scheduler;
        if (scheduler.BlocksHeld + scheduler.Running + scheduler.Waiting > 0) _simulator.Fail($"left over in the scheduler: {scheduler}");
        var view = _cluster.Coordinator.Status.ViewVersion;
        if (view % ClusterOwnership.ViewsPerEpoch > MostViews) _simulator.Fail($"view {view}: one followed the other for no reason");
        foreach (var worker in _cluster.Workers.Where(worker => worker.View is { KnownSequences: > 0 } its && its.Version == view))
            _simulator.Fail($"{worker.Process.Name} still knows {worker.View!.KnownSequences} sequences");
        var calls = 6 * _machines.Count;   // heartbeats, steps, activations, other ranks
        if (_cluster.Network.OpenCalls > calls)
            _simulator.Fail($"{_cluster.Network.OpenCalls} calls are open; {_machines.Count} workers need no more than {calls}");
        var timers = 12 * _machines.Count + 12;
        if (_simulator.Timers > timers) _simulator.Fail($"{_simulator.Timers} timers run; {_machines.Count} workers need no more than {timers}");
    }

    long NextRequest() => _simulator.Now + _random.Time(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(4)).Ticks;

    long NextFault() => _simulator.Now + _random.Time(TimeSpan.FromSeconds(0.02), TimeSpan.FromSeconds(20)).Ticks;

    void Fault()
    {
        var worker = _cluster.Workers.Count == 0 ? null : _cluster.Workers[_random.Below(_cluster.Workers.Count)];
        switch (_random.Below(16))
        {
            case < 5 when worker is not null:
                _kills++;
                _cluster.Kill(worker, silently: _random.Chance(0.2));
                break;
            case < 9:
                _cluster.Start(_machines[_random.Below(_machines.Count)]);
                break;
            case 9 or 10 when worker is not null:
                _freezes++;
                Freeze(worker.Process);
                break;
            case 11 when worker is not null:
                _leaves++;
                _simulator.Note($"{worker.Process.Name} wants to leave");
                worker.Leave();
                break;
            case 12 or 13 when worker is not null:
                _cuts++;
                var other = _random.Chance(0.5) ? "coordinator" : _machines[_random.Below(_machines.Count)].Name;
                var time = _random.Time(TimeSpan.FromSeconds(0.1), TimeSpan.FromSeconds(60));
                _cluster.Checks.Fault();
                _simulator.Note($"nothing passes between {worker.Machine.Name} and {other} for {time.TotalSeconds:0.0} s");
                _cluster.Network.Cut(worker.Machine.Name, other, time);
                break;
            case 14 when _machines.Count < 6:
                _machines.Add(NewMachine());
                _cluster.Start(_machines[^1]);
                break;
            case 15 when _cluster.Coordinator is { } coordinator:
                _restarts++;
                if (_random.Chance(0.5)) Freeze(coordinator.Process);
                else
                {
                    _cluster.KillCoordinator();
                    var pause = _random.Time(TimeSpan.FromSeconds(0.1), TimeSpan.FromSeconds(20));
                    _keeper.Clock.CreateTimer(_ => StartCoordinator(), null, pause, Timeout.InfiniteTimeSpan);
                }
                break;
        }
    }

    void StartCoordinator()
    {
        if (_cluster.Coordinator is null) _cluster.StartCoordinator();
    }

    void Freeze(SimProcess process)
    {
        var time = _random.Time(TimeSpan.FromSeconds(0.2), TimeSpan.FromSeconds(30));
        _cluster.Checks.Fault();
        _simulator.Note($"{process.Name} is frozen for {time.TotalSeconds:0.0} s");
        process.Freeze();
        _keeper.Clock.CreateTimer(_ => process.Thaw(), null, time, Timeout.InfiniteTimeSpan);
    }

    SimRequest NewRequest()
    {
        var isHarmful = _isHarmful && _random.Chance(0.2);
        var prompt = new List<int>();
        if (_random.Chance(0.7)) prompt.AddRange(_prefixes[_random.Below(_prefixes.Count)]);
        prompt.AddRange(Enumerable.Range(0, _random.Between(1, 60)).Select(_ => _random.Below(60)));
        if (isHarmful) prompt.Add(_random.Of(SimModel.DeadlyToken, SimModel.BadToken));
        var request = new SequenceRequest(prompt, new SamplingOptions
        {
            Temperature = _random.Of(0f, 1f),
            Seed = _random.Next() % 1000,
            RepetitionPenalty = _random.Of(1f, 1f, 1.1f),
            PromptLogprobs = _random.Chance(0.1),
        }, _random.Chance(0.05) ? 0 : _random.Between(1, 60), _random.Chance(0.5) ? new HashSet<int> { 0 } : new HashSet<int>())
        {
            Priority = _random.Between(0, 2),
            Client = _random.Of("alice", "bob"),
        };
        var choices = Enumerable.Range(0, _random.Of(1, 1, 1, 2, 3))
            .Select(choice => request with { Sampling = request.Sampling with { Seed = request.Sampling.Seed + (ulong)choice } });
        var kind = new SimClientKind(_random.Chance(0.15) ? _random.Between(0, 20) : null, _random.Chance(0.1), isHarmful);
        return new SimRequest(_cluster, $"{++_requests}", [.. choices], kind);
    }
}
