using Grpc.Core;
using LlamaCluster.Cluster.Rpc;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>How bad the network of a schedule is.</summary>
/// <param name="Longest">The longest that a message takes that nothing holds up.</param>
/// <param name="Breaks">How likely a message breaks the connection that it travels on.</param>
/// <param name="Duplicates">How likely an answer to a step comes twice.</param>
sealed record NetworkFaults(TimeSpan Longest, double Breaks, double Duplicates);

/// <summary>
/// The network between the processes, as gRPC shows it: a call delivers messages in order or breaks. So messages are delayed, and overtake those of
/// other calls; a lost packet is a delay; a cut link holds everything up, and breaks what is held up for too long; a call that breaks may have taken
/// effect or not, and its two ends learn of it at different times.
/// </summary>
sealed class SimNetwork(Simulator simulator, NetworkFaults faults)
{
    /// <summary>Connections live through shorter cuts.</summary>
    static readonly TimeSpan KeepAlive = RpcSettings.PingDelay + RpcSettings.PingTimeout;

    readonly Dictionary<Uri, SimServer> _servers = [];
    readonly List<SimCall> _open = [];
    readonly Dictionary<(string, string), long> _cutUntil = [];

    public Simulator Simulator => simulator;

    /// <summary>No more faults from now on.</summary>
    public bool IsSound { get; set; }

    public int OpenCalls => _open.Count;

    public void Listen(Uri address, SimServer server) => _servers[address] = server;

    public IPeerConnector From(SimProcess process) => new Connector(this, process);

    /// <summary>Nothing gets through between two machines for a time.</summary>
    public void Cut(string one, string other, TimeSpan time) => _cutUntil[Key(one, other)] = simulator.Now + time.Ticks;

    /// <summary>A process is gone. Its machine says so to whoever is connected with it, unless it is gone too.</summary>
    public void Died(SimProcess process, bool silently)
    {
        foreach (var call in _open.Where(call => call.Has(process)).ToList())
            call.Break(silently ? KeepAlive : simulator.Random.Time(TimeSpan.FromMilliseconds(0.1), TimeSpan.FromMilliseconds(5)));
    }

    internal SimServer? ServerAt(Uri address) => _servers.TryGetValue(address, out var server) && !server.Process.IsDead ? server : null;

    internal void Opened(SimCall call) => _open.Add(call);

    internal void Closed(SimCall call) => _open.Remove(call);

    internal bool Duplicates() => !IsSound && simulator.Random.Chance(faults.Duplicates);

    /// <summary>How long a message takes from one process to another; null: it breaks the connection.</summary>
    internal TimeSpan? Takes(SimProcess from, SimProcess to)
    {
        var delay = simulator.Random.Time(TimeSpan.FromMicroseconds(50), IsSound ? TimeSpan.FromMilliseconds(1) : faults.Longest);
        if (!IsSound && simulator.Random.Chance(faults.Breaks)) return null;
        if (_cutUntil.Count == 0 || !_cutUntil.TryGetValue(Key(from.Machine, to.Machine), out var until) || until <= simulator.Now) return delay;
        var held = TimeSpan.FromTicks(until - simulator.Now);
        return held > KeepAlive ? null : held + delay;
    }

    /// <summary>Does something in a process later, if it lives then.</summary>
    internal static void Later(SimProcess where, TimeSpan delay, Action what) =>
        where.Clock.CreateTimer(static what => ((Action)what!)(), what, delay, Timeout.InfiniteTimeSpan);

    static (string, string) Key(string one, string other) => string.CompareOrdinal(one, other) < 0 ? (one, other) : (other, one);

    sealed class Connector(SimNetwork network, SimProcess process) : IPeerConnector
    {
        public PeerConnection Connect(Uri address)
        {
            var calls = new SimCalls(network, process, address);
            return new PeerConnection(calls, calls);
        }
    }
}

/// <summary>What a process serves.</summary>
sealed class SimServer(SimProcess process)
{
    readonly Dictionary<string, object> _methods = [];

    public SimProcess Process => process;

    /// <param name="handle">Called in the process for each call.</param>
    public void Serve<TRequest, TResponse>(string method, Func<SimServed<TRequest, TResponse>, Task> handle) => _methods[method] = handle;

    internal Func<SimServed<TRequest, TResponse>, Task>? Find<TRequest, TResponse>(string method) =>
        _methods.GetValueOrDefault(method) as Func<SimServed<TRequest, TResponse>, Task>;
}

/// <summary>A call as its server sees it.</summary>
sealed record SimServed<TRequest, TResponse>(
    IAsyncStreamReader<TRequest> Requests, IServerStreamWriter<TResponse> Responses, Metadata Headers, CancellationToken Cancelled);
