using LlamaCluster.Coordinator.Supervision;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>The machines, what runs on them now, and the requests of clients.</summary>
sealed class SimCluster(Simulator simulator, SimNetwork network, SimModel model, SupervisorOptions options) : IDisposable
{
    public static readonly Uri CoordinatorAddress = new("http://coordinator:9090");

    /// <summary>How long a stage waits for another's activations.</summary>
    public static readonly TimeSpan PeerTimeout = TimeSpan.FromSeconds(60);

    readonly List<SimWorker> _workers = [];
    readonly List<SimRequest> _requests = [];
    SimPositions _positions;
    ulong _processes;
    ulong _epoch;

    public Simulator Simulator => simulator;

    public SimNetwork Network => network;

    public SimModel Model => model;

    public SupervisorOptions Options => options;

    /// <summary>What workers say that they keep.</summary>
    public KvClaim Claim { get; init; }

    /// <summary>Rows of journals that were sent in place of computed ones.</summary>
    public int Replayed { get; set; }

    public SimChecks Checks { get; } = new(simulator, options.Deadlines);

    public IReadOnlyList<SimWorker> Workers => _workers;

    public IReadOnlyList<SimRequest> Requests => _requests;

    public SimCoordinator? Coordinator { get; private set; }

    /// <summary>Of all coordinators.</summary>
    public SimPositions Positions => Coordinator is { } coordinator ? _positions + coordinator.Positions : _positions;

    public bool IsRunning(SimMachine machine) => _workers.Exists(worker => worker.Machine == machine);

    public void StartCoordinator()
    {
        var process = NewProcess("coordinator");
        process.Do(() =>
        {
            Coordinator = new SimCoordinator(this, process, options, ++_epoch);
            foreach (var request in _requests) request.Begin(Coordinator);
        });
    }

    public void KillCoordinator()
    {
        if (Coordinator is not { } old) return;
        simulator.Note($"{old.Process.Name} is killed");
        _positions += old.Positions;
        Coordinator = null;
        old.Process.Kill();
        old.Dispose();
        network.Died(old.Process, silently: false);
    }

    public void Start(SimMachine machine)
    {
        if (IsRunning(machine)) return;
        var process = NewProcess(machine.Name);
        simulator.Note($"{process.Name} starts");
        process.Do(() => _workers.Add(new SimWorker(this, machine, process)));
    }

    public void Kill(SimWorker worker, bool silently)
    {
        if (!_workers.Remove(worker)) return;
        Checks.Fault();
        simulator.Note($"{worker.Process.Name} is gone{(silently ? ", without a word" : "")}");
        worker.Process.Kill();
        network.Died(worker.Process, silently);
    }

    public void Add(SimRequest request)
    {
        _requests.Add(request);
        if (Coordinator is { } coordinator) request.Begin(coordinator);
    }

    public void Dispose() => Coordinator?.Dispose();

    SimProcess NewProcess(string machine) => new(simulator, $"{machine}#{++_processes}", _processes);
}

/// <summary>Positions that were known in an earlier view, by how their KV came to be in a later one.</summary>
readonly record struct SimPositions(long Kept, long Filled, long Computed)
{
    public static SimPositions operator +(SimPositions one, SimPositions other) =>
        new(one.Kept + other.Kept, one.Filled + other.Filled, one.Computed + other.Computed);
}

/// <summary>What workers say of the KV that they keep when a view is over.</summary>
enum KvClaim
{
    /// <summary>The truth.</summary>
    True,

    /// <summary>That they have run all steps that they received, and that all of their blocks are full.</summary>
    TooMuch,
}
