using System.CommandLine;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Protos;
using LlamaCluster.Worker;
using KvType = LlamaCluster.Kernels.Attention.KvType;

namespace LlamaCluster.Cli.Commands;

/// <summary>The certificates of a process of the cluster: three options that go together.</summary>
sealed class TlsOptions
{
    readonly Option<string?> _certificate = new("--tls-cert")
    {
        HelpName = "FILE",
        Description = "this process's certificate (PEM), for traffic within the cluster",
    };

    readonly Option<string?> _key = new("--tls-key") { HelpName = "FILE", Description = "the certificate's private key (PEM)" };

    readonly Option<string?> _authority = new("--tls-ca")
    {
        HelpName = "FILE",
        Description = "the cluster's own authority (PEM): whoever has a certificate of it is a member",
    };

    public IEnumerable<Option> All => [_certificate, _key, _authority];

    /// <returns>Null if none are given.</returns>
    /// <exception cref="InvalidOptionsException">Only some of the three are given.</exception>
    public TlsFiles? Read(ParseResult parsed) =>
        TlsFiles.TryCreate(parsed.GetValue(_certificate), parsed.GetValue(_key), parsed.GetValue(_authority), out var files, out var problem)
            ? files
            : throw new InvalidOptionsException(problem);

    /// <summary>The scheme of a default address.</summary>
    public static string SchemeOf(TlsFiles? files) => files is null ? Uri.UriSchemeHttp : Uri.UriSchemeHttps;
}

/// <summary>How much work the cluster accepts at a time, and how it does it; options of `up` and `coordinator`.</summary>
sealed class QueueOptions
{
    static readonly EngineOptions Defaults = new();

    readonly Option<int> _maxRunning = new("--max-running")
    {
        HelpName = "N",
        Description = "sequences that run at a time",
        DefaultValueFactory = _ => Defaults.MaxRunning,
    };

    readonly Option<int> _maxWaiting = new("--max-waiting")
    {
        HelpName = "N",
        Description = "sequences that may wait beside them; more are answered 429",
        DefaultValueFactory = _ => Defaults.MaxWaiting,
    };

    readonly WordOption<KvType> _kvType = KvTypeOption.Create();
    readonly Option<bool> _noPrefixCache = new("--no-prefix-cache") { Description = "compute every prompt from its beginning" };
    readonly DurationOption _sessionHold = new(
        "--session-hold", "how long keys and values of a session's last request outlive those of no session; 0 is not at all", Defaults.SessionHold, orZero: true);

    readonly Option<bool> _noSpeculation = new("--no-speculation") { Description = "do not guess what greedy streams repeat of their own text" };

    public IEnumerable<Option> All => [_maxRunning, _maxWaiting, _kvType, _noPrefixCache, _sessionHold, _noSpeculation];

    public EngineOptions Read(ParseResult parsed) => Defaults with
    {
        MaxRunning = parsed.GetValue(_maxRunning),
        MaxWaiting = parsed.GetValue(_maxWaiting),
        KvType = KvTypeOption.ToWire(_kvType.In(parsed)),
        SessionHold = _sessionHold.In(parsed),
        CachePrefixes = !parsed.GetValue(_noPrefixCache),
        Speculate = !parsed.GetValue(_noSpeculation),
    };
}

/// <summary>Options of tensor parallelism that several commands have.</summary>
static class TensorOptions
{
    public const string PeerLinkName = "--peer-link";

    public static Option<int> Parallel() => new("--tensor-parallel")
    {
        HelpName = "T",
        Description = "workers that share each stage; where they do not divide evenly, fewer share the last one",
        DefaultValueFactory = _ => 1,
    };

    public static WordOption<ActivationType> SumType() => new(
        "--sum-type", "how partial sums travel between workers that share a stage; less than f32 rounds them",
        ("f32", ActivationType.F32), ("bf16", ActivationType.Bf16), ("q8", ActivationType.Q8));

    public static WordOption<PeerLinkPreference> PeerLink() => new(
        PeerLinkName, "what workers that share a stage exchange partial sums over; auto: the faster, measured",
        ("auto", PeerLinkPreference.Auto), ("grpc", PeerLinkPreference.Grpc), ("tcp", PeerLinkPreference.Tcp));
}

/// <summary>--objective, for commands that plan.</summary>
static class ObjectiveOption
{
    public static WordOption<PlanObjective> Create(PlanObjective otherwise)
    {
        (string, PlanObjective)[] words = [("latency", PlanObjective.Latency), ("throughput", PlanObjective.Throughput)];
        if (otherwise == PlanObjective.Throughput) Array.Reverse(words);
        return new("--objective", "plan for the least time per token of one stream (latency), or for the most tokens per second of all (throughput)", words);
    }
}

/// <summary>--log-format, for the processes of a cluster.</summary>
static class LogFormatOption
{
    public static WordOption<LogFormat> Create() => new(
        "--log-format", "log lines on stderr: for people, or one JSON object a line", ("text", LogFormat.Text), ("json", LogFormat.Json));
}
