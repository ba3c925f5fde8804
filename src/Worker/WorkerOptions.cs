using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Hub;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Planning.Plans;

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

    /// <summary>
    /// Where Prometheus finds /metrics, over plain HTTP. Port 0: any free one. Default: nowhere; the coordinator exports what workers tell it of each
    /// step.
    /// </summary>
    public string? MetricsListen { get; init; }

    /// <summary>The form of log lines. Default: text.</summary>
    public LogFormat LogFormat { get; init; }

    /// <summary>Compute threads. Default 0: one for each processor this process may use.</summary>
    public int Threads { get; init; }

    /// <summary>Where fetched weights are kept. Default: see <see cref="CacheRoot"/>.</summary>
    public string? CacheFolder { get; init; }

    /// <summary>
    /// How big the cache of fetched weights may get, in bytes, for all models. Weights that are in use count, and are never removed. Default: as big as
    /// leaves a tenth of the disk free, or 32 GiB where that is less.
    /// </summary>
    public long? CacheBytes { get; init; }

    /// <summary>Where KV blocks are kept, across restarts, that memory has no room for. Goes with <see cref="KvDiskBytes"/>. Default: nowhere.</summary>
    public string? KvDiskFolder { get; init; }

    /// <summary>What they may take there, in bytes, for all shards that the worker ever held.</summary>
    public long? KvDiskBytes { get; init; }

    /// <summary>Where what the worker's stage sends on is kept while it runs, for the case that the next stage is lost. Default: nowhere.</summary>
    public string? JournalFolder { get; init; }

    /// <summary>
    /// What that may take there, in bytes. Goes with <see cref="JournalFolder"/>. Default: as much as it comes to, 4 D bytes for each position of the KV cache.
    /// </summary>
    public long? JournalBytes { get; init; }

    /// <summary>
    /// Take files of this machine by the model's digest alone, which is a sample of it, and do not compare what is read with what the coordinator's
    /// model hashes to. Default: compare. That waits for the coordinator where it has to read its model for it, once.
    /// </summary>
    public bool TrustDigest { get; init; }

    /// <summary>The hub that weights are fetched from if the coordinator says so. Default: the coordinator's, without a token.</summary>
    public HubAccess? Hub { get; init; }

    /// <summary>Where measurements of this machine are kept. Default: see <see cref="CacheRoot"/>.</summary>
    public string? ProfileFolder { get; init; }

    /// <summary>Bytes for weights, KV cache and buffers. Default: nine tenths of what is available at start.</summary>
    public long? MemoryBytes { get; init; }

    /// <summary>A copy of the model on this machine. Default: the coordinator's path if it exists here too, else weights are fetched.</summary>
    public string? ModelPath { get; init; }

    /// <summary>For people, and for the order in which workers get layers. Default: the host's name.</summary>
    public string Name { get; init; } = "";

    /// <summary>Exit at once when stdin ends, so that a worker never outlives the process that started it. Default: no.</summary>
    public bool ExitWhenInputCloses { get; init; }

    /// <summary>
    /// Have the system end this process with the thread that started it, even while it is frozen (Linux). For those whose thread lives as long as the
    /// worker is to live. Default: no.
    /// </summary>
    public bool ExitWithParentThread { get; init; }

    /// <summary>
    /// How ranks of a stage exchange their partial sums, and how activations go to the next stage. Default: by the fastest link that can be had.
    /// </summary>
    public PeerLinkPreference PeerLink { get; init; } = PeerLinkPreference.Auto;

    /// <summary>Offer the reflection service, by which tools like grpcurl list the services of this port. Default: no.</summary>
    public bool GrpcReflection { get; init; }

    /// <summary>Certificates for all traffic of the cluster. Default: none, all of it is plain.</summary>
    public TlsFiles? Tls { get; init; }

    /// <summary>A file with what the coordinator must know too; see <see cref="JoinToken"/>. Default: none, any coordinator at the address is taken.</summary>
    public string? JoinTokenFile { get; init; }

    /// <summary>
    /// Whether an address that other machines reach may take orders of any coordinator, without <see cref="JoinTokenFile"/> and <see cref="Tls"/>. Default
    /// false: that is an error.
    /// </summary>
    public bool Insecure { get; init; }

    /// <summary>
    /// The longest that another process may keep a step, a link or a stream of weights waiting. A dead process is noticed sooner, by the end of
    /// its connection. Steps get more time where the coordinator expects them to be slow. Default 120 s: the stage before may be computing a
    /// long prompt.
    /// </summary>
    public TimeSpan PeerTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>The default of <see cref="OrphanTimeout"/>.</summary>
    public static readonly TimeSpan UsualOrphanTimeout = TimeSpan.FromMinutes(10);

    /// <summary>
    /// How long the worker keeps its weights without a coordinator. One that comes within this time, of the same cluster or another that serves the same
    /// model, finds them loaded. Default 10 min.
    /// </summary>
    public TimeSpan OrphanTimeout { get; init; } = UsualOrphanTimeout;

    /// <summary>
    /// The longest that a stopping worker waits for the coordinator to let it go. Default 25 s: a little more than a coordinator gives
    /// running sequences to finish, a little less than container hosts give a process to stop.
    /// </summary>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(25);
}

/// <summary>What workers of a view have between them: ranks of a stage, and stages that follow each other.</summary>
public enum PeerLinkPreference
{
    /// <summary>The fastest one that can be had: measured between ranks; between stages shared memory, else a direct connection, else gRPC.</summary>
    Auto,

    /// <summary>A gRPC stream, on the same port as everything else.</summary>
    Grpc,

    /// <summary>A direct TCP connection, on a port that the other worker names.</summary>
    Tcp,

    /// <summary>Memory that both have mapped. For workers of one host.</summary>
    Shm,
}

/// <summary>The allowed values of <see cref="WorkerOptions"/>.</summary>
public static class WorkerOptionsRules
{
    const int MaxThreads = 4096;
    const int MaxNameLength = 128;

    static readonly TimeSpan LongestTime = TimeSpan.FromDays(1);

    /// <summary>The first value that is not allowed, in one line: the option, the value and what is allowed. Null if all are.</summary>
    public static string? FirstProblem(WorkerOptions options) =>
        !PeerAddress.IsValid(options.Coordinator) ? $"--coordinator is '{options.Coordinator}'; it must be like http://10.0.0.1:8081"
        : options.Coordinator.Scheme != SchemeOf(options)
            ? $"--coordinator is '{options.Coordinator}'; it must be {SchemeOf(options)}: the cluster has TLS everywhere or nowhere"
                + " (--tls-cert, --tls-key, --tls-ca)"
        : ListenProblem(options) is { } problem ? $"--listen is '{options.Listen}'; {problem}"
        : options.MetricsListen is { } metrics && ListenAddress.FirstProblem(metrics, Uri.UriSchemeHttp) is { } other
            ? $"--metrics-listen is '{metrics}'; {other}"
        : options.Threads is < 0 or > MaxThreads ? $"--threads is {options.Threads}; it must be from 1 to {MaxThreads}, or 0 for one a processor"
        : options.MemoryBytes is < 1 ? $"--memory is {options.MemoryBytes}; it must be a number of bytes from 1"
        : options.CacheBytes is < 1 ? $"--weights-cache-size is {options.CacheBytes}; it must be a number of bytes from 1"
        : options.KvDiskFolder is null != options.KvDiskBytes is null
            ? "--kv-disk and --kv-disk-size go together: where KV blocks are kept, and how much they may take"
        : options.KvDiskBytes is < 1 ? $"--kv-disk-size is {options.KvDiskBytes}; it must be a number of bytes from 1"
        : options.JournalBytes is not null && options.JournalFolder is null
            ? "--activation-journal-size is nothing without --activation-journal, which says where"
        : options.JournalBytes is < 1 ? $"--activation-journal-size is {options.JournalBytes}; it must be a number of bytes from 1"
        : options.Name.Length > MaxNameLength || options.Name.Any(char.IsControl)
            ? $"--name must have at most {MaxNameLength} characters, none of them control characters"
        : options.ModelPath is { } path && !ModelFiles.Exist(path) ? $"--model is '{path}'; there is no such file or folder"
        : TimeProblem(nameof(options.PeerTimeout), options.PeerTimeout)
            ?? TimeProblem("--orphan-timeout", options.OrphanTimeout)
            ?? TimeProblem(nameof(options.DrainTimeout), options.DrainTimeout);

    static string? ListenProblem(WorkerOptions options) =>
        ListenAddress.FirstProblem(options.Listen, tls: options.Tls is not null)
        ?? Exposure.Problem(options.Listen, asks: options.Tls is not null || options.JoinTokenFile is not null, Exposure.MemberProofs, options.Insecure);

    static string SchemeOf(WorkerOptions options) => options.Tls is null ? Uri.UriSchemeHttp : Uri.UriSchemeHttps;

    static string? TimeProblem(string name, TimeSpan value) =>
        value > TimeSpan.Zero && value <= LongestTime ? null : $"{name} is {value}; it must be above 0 and at most {LongestTime.TotalHours} hours";
}
