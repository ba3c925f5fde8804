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

    readonly Option<int> _maxStepRows = new("--max-step-rows")
    {
        HelpName = "N",
        Description = "token positions of one step, of all sequences together; the workers' buffers have this size",
        DefaultValueFactory = _ => Defaults.MaxStepRows,
    };

    readonly Option<int?> _maxPromptRows = new("--max-prompt-rows")
    {
        HelpName = "N",
        Description = $"of these, positions of prompts: fewer keep running streams smoother, more read prompts faster; without it {Defaults.MaxPromptRows}",
    };

    readonly Option<int?> _kvTokens = new("--kv-tokens")
    {
        HelpName = "N",
        Description = "positions that the KV cache holds for all sequences together, where the workers have the memory; "
            + "without it what --max-running sequences need, 65536 or one full context at most",
    };

    readonly WordOption<KvType> _kvType = KvTypeOption.Create();
    readonly Option<bool> _noPrefixCache = new("--no-prefix-cache") { Description = "compute every prompt from its beginning" };
    readonly DurationOption _sessionHold = new(
        "--session-hold", "how long keys and values of a session's last request outlive those of no session; 0 is not at all",
        Defaults.SessionHold, orZero: true);

    readonly Option<bool> _noSpeculation = new("--no-speculation") { Description = "do not guess what streams say next" };

    public IEnumerable<Option> All =>
        [_maxRunning, _maxWaiting, _maxStepRows, _maxPromptRows, _kvTokens, _kvType, _noPrefixCache, _sessionHold, _noSpeculation];

    public EngineOptions Read(ParseResult parsed) => Defaults with
    {
        MaxRunning = parsed.GetValue(_maxRunning),
        MaxWaiting = parsed.GetValue(_maxWaiting),
        MaxStepRows = parsed.GetValue(_maxStepRows),
        MaxPromptRows = parsed.GetValue(_maxPromptRows) ?? Math.Min(Defaults.MaxPromptRows, parsed.GetValue(_maxStepRows)),
        KvTokens = parsed.GetValue(_kvTokens),
        KvType = KvTypeOption.ToWire(_kvType.In(parsed)),
        SessionHold = _sessionHold.In(parsed),
        CachePrefixes = !parsed.GetValue(_noPrefixCache),
        Speculate = !parsed.GetValue(_noSpeculation),
    };
}

/// <summary>A model that drafts; options of `up` and `coordinator`.</summary>
/// <param name="startsWorker">Its worker is started too, so nobody needs to know an address.</param>
sealed class DraftOptionSet(bool startsWorker)
{
    const int UsualGrpcPort = 8082;

    readonly Option<string?> _model = new(DraftOptions.ModelName)
    {
        HelpName = "PATH",
        Description = "a smaller model of the same vocabulary that guesses the next tokens, "
            + (startsWorker ? "in a worker process of its own" : $"on a worker that registers at {DraftOptions.ListenName}") + "; the text stays the same",
    };

    readonly Option<string?> _listen = new(DraftOptions.ListenName)
    {
        HelpName = "URL",
        Description = $"with {DraftOptions.ModelName}: where its worker reaches the coordinator; without it 127.0.0.1:{UsualGrpcPort}",
    };

    readonly Option<int?> _threads = new("--draft-threads")
    {
        HelpName = "K",
        Description = $"with {DraftOptions.ModelName}: compute threads of its worker; without it as many as another worker's",
    };

    readonly Option<int?> _tokens = new("--draft-tokens")
    {
        HelpName = "N",
        Description = $"with {DraftOptions.ModelName}: tokens to draft at each step, whether they pay or not; "
            + "without it as many as were measured to pay, or none",
    };

    public IEnumerable<Option> All => startsWorker ? [_model, _tokens, _threads] : [_model, _tokens, _listen];

    /// <param name="scheme">Of the usual address.</param>
    /// <returns>Null: there is none.</returns>
    /// <exception cref="InvalidOptionsException">An option of it is given without it.</exception>
    public DraftOptions? Read(ParseResult parsed, string scheme)
    {
        if (parsed.GetValue(_model) is { } model)
        {
            var listen = startsWorker ? "http://127.0.0.1:0" : parsed.GetValue(_listen) ?? $"{scheme}://127.0.0.1:{UsualGrpcPort}";
            return new DraftOptions(HubOption.PathOf(parsed, model), listen);
        }
        var given = All.FirstOrDefault(option => parsed.GetResult(option) is not null);
        return given is null ? null : throw new InvalidOptionsException($"{given.Name} needs {DraftOptions.ModelName}");
    }

    /// <summary>Tokens to draft at each step; null: as many as pay.</summary>
    public int? TokensOf(ParseResult parsed) => parsed.GetValue(_tokens);

    /// <summary>Compute threads of the worker that is started; null: as many as another's.</summary>
    public int? ThreadsOf(ParseResult parsed) =>
        parsed.GetValue(_threads) is { } threads ? NumberOption.Check(_threads.Name, threads, 1, 4096) : null;
}

/// <summary>Options of tensor parallelism that several commands have.</summary>
static class TensorOptions
{
    public const string PeerLinkName = "--peer-link";
    public const string ExpertsName = "--expert-parallel";

    public static Option<int> Parallel() => new("--tensor-parallel")
    {
        HelpName = "T",
        Description = "workers that share each stage; where they do not divide evenly, fewer share the last one",
        DefaultValueFactory = _ => 1,
    };

    public static WordOption<ExpertParallel> Experts() => new(
        ExpertsName, "whether workers that share a stage have whole experts (on) or some columns of every expert (off); auto: what is faster",
        ("auto", ExpertParallel.Auto), ("on", ExpertParallel.On), ("off", ExpertParallel.Off));

    public static WordOption<ActivationType> SumType() => new(
        "--sum-type", "how partial sums travel between workers that share a stage; less than f32 rounds them",
        ("f32", ActivationType.F32), ("bf16", ActivationType.Bf16), ("q8", ActivationType.Q8));

    public static WordOption<PeerLinkPreference> PeerLink() => new(
        PeerLinkName, "what partial sums and activations travel over between workers; shm: shared memory, on one host; auto: the fastest",
        ("auto", PeerLinkPreference.Auto), ("grpc", PeerLinkPreference.Grpc), ("tcp", PeerLinkPreference.Tcp), ("shm", PeerLinkPreference.Shm));
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
