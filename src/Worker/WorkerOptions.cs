using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Worker.Links;

namespace LlamaCluster.Worker;

/// <summary>What an operator decides about a worker; <see cref="WorkerOptionsRules"/> says what is allowed.</summary>
public sealed record WorkerOptions
{
    /// <summary>The coordinator's gRPC address, like http://10.0.0.1:8081.</summary>
    public required Uri Coordinator { get; init; }

    /// <summary>
    /// Where to listen for the coordinator and the other workers. Port 0: any free one. With a wildcard (0.0.0.0, [::]) the worker
    /// announces the address by which it reaches the coordinator. Default: loopback, any port.
    /// </summary>
    public string Listen { get; init; } = "http://127.0.0.1:0";

    /// <summary>Compute threads. Default 0: one for each processor this process may use.</summary>
    public int Threads { get; init; }

    /// <summary>Where fetched weights are kept. Default: llamacluster/weights in the user's cache folder.</summary>
    public string? CacheFolder { get; init; }

    /// <summary>Where measurements of this machine are kept. Default: llamacluster/profiles in the user's cache folder.</summary>
    public string? ProfileFolder { get; init; }

    /// <summary>Bytes for weights, KV cache and buffers. Default: nine tenths of what is available at start.</summary>
    public long? MemoryBytes { get; init; }

    /// <summary>A copy of the model on this machine. Default: the coordinator's path if it exists here too, else weights are fetched.</summary>
    public string? ModelPath { get; init; }

    /// <summary>For people, and for the order in which workers get layers. Default: the host's name.</summary>
    public string Name { get; init; } = "";

    /// <summary>Exit at once when stdin ends, so that a worker never outlives the process that started it. Default: no.</summary>
    public bool ExitWhenInputCloses { get; init; }

    /// <summary>What ranks of a stage exchange their partial sums over. Default: whatever is faster, measured when they connect.</summary>
    public PeerLinkPreference PeerLink { get; init; } = PeerLinkPreference.Auto;

    /// <summary>Offer the reflection service, by which tools like grpcurl list the services of this port. Default: no.</summary>
    public bool GrpcReflection { get; init; }

    /// <summary>Certificates for all traffic of the cluster. Default: none, all of it is plain.</summary>
    public TlsFiles? Tls { get; init; }

    /// <summary>
    /// The longest that another process may keep a step, a link or a stream of weights waiting. A dead one is noticed sooner, by the end of
    /// its connection. Steps get more where the coordinator expects them to be slow. Default 120 s: the stage before may be computing a long prompt.
    /// </summary>
    public TimeSpan PeerTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>
    /// The longest that a stopping worker waits for the coordinator to let it go. Default 25 s: a little more than a coordinator gives
    /// running sequences to finish, a little less than container hosts give a process to stop.
    /// </summary>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(25);
}
