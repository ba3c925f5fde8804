using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Sessions;
using Microsoft.Extensions.Options;
using static LlamaCluster.Coordinator.OptionRange;

namespace LlamaCluster.Coordinator;

/// <summary>What an operator decides about a coordinator.</summary>
public sealed record CoordinatorOptions
{
    /// <summary>A .gguf file (the first part of a split one) or a Hugging Face folder.</summary>
    public required string ModelPath { get; init; }

    /// <summary>Where clients reach the HTTP API. Port 0 takes a free one. localhost means both 127.0.0.1 and [::1], with port 0 only the former.</summary>
    public string Listen { get; init; } = "http://127.0.0.1:8080";

    /// <summary>Where workers reach the coordinator. Port 0 takes a free one.</summary>
    public string GrpcListen { get; init; } = "http://127.0.0.1:0";

    /// <summary>
    /// An address for /metrics alone, beside the API's, which has it too: for those who scrape but may not reach the API. Port 0 takes a free one.
    /// Null, the default: none.
    /// </summary>
    public string? MetricsListen { get; init; }

    /// <summary>The form of log lines. Default: text.</summary>
    public LogFormat LogFormat { get; init; }

    /// <summary>Workers that are wanted; any further ones are spare. 1 to 1024, default 2.</summary>
    public int Workers { get; init; } = 2;

    /// <summary>
    /// Workers that are enough, once the others have been waited for (<see cref="ClusterDeadlines.WaitForWorkers"/>) or were lost. 1 to
    /// <see cref="Workers"/>. Default 1: as few as have the memory.
    /// </summary>
    public int MinWorkers { get; init; } = 1;

    /// <summary>
    /// Workers that share each stage; if they do not divide evenly, fewer share the last one. 1 to 256, default 1. Null: the planner
    /// chooses, from what workers and links measured.
    /// </summary>
    public int? TensorParallel { get; init; } = 1;

    /// <summary>Whether workers that share a stage have whole experts. Default: where that is faster, or the only way.</summary>
    public ExpertParallel ExpertParallel { get; init; }

    /// <summary>What plans optimise. Default: the tokens per second of <see cref="Streams"/> streams together.</summary>
    public PlanObjective Objective { get; init; } = PlanObjective.Throughput;

    /// <summary>How many streams at a time plans are optimised for, with <see cref="PlanObjective.Throughput"/>. 1 to 4096, default 8.</summary>
    public int Streams { get; init; } = 8;

    /// <summary>The most tokens of one sequence, prompt and answer together. 2 to the model's own context length; null: that length.</summary>
    public int? ContextLength { get; init; }

    /// <summary>
    /// The hub from which workers that have no file of the model fetch what stands there as it is. Null, the default: all comes from this coordinator.
    /// </summary>
    public HubOrigin? WeightsHub { get; init; }

    /// <summary>
    /// Whether workers that have no file of the model fetch what they can from the workers that have it already. Default false: all comes from this
    /// coordinator, or from <see cref="WeightsHub"/>.
    /// </summary>
    public bool SharesWeights { get; init; }

    /// <summary>Certificates for all traffic between the cluster's processes; the API is not encrypted. Null, the default: nothing is.</summary>
    public TlsFiles? Tls { get; init; }

    /// <summary>A file with what workers must know to be taken in; see <see cref="JoinToken"/>. Null, the default: any worker is.</summary>
    public string? JoinTokenFile { get; init; }

    /// <summary>
    /// Whether addresses that other machines reach may serve whoever comes: the API without <see cref="ApiOptions.KeysFile"/>, the workers' address without
    /// <see cref="JoinTokenFile"/> and <see cref="Tls"/>. Default false: that is an error.
    /// </summary>
    public bool Insecure { get; init; }

    /// <summary>Whether the gRPC address answers server reflection, so that tools such as grpcurl can list and call its services. Default false.</summary>
    public bool GrpcReflection { get; init; }

    /// <summary>
    /// Where the cluster's id, this coordinator's epoch and its sessions are kept, by one coordinator at a time. Null, the default: nothing is kept, and each
    /// start is a new cluster, which workers of another join as newcomers.
    /// </summary>
    public string? DataFolder { get; init; }

    /// <summary>
    /// Nobody asked for <see cref="DataFolder"/>: where it cannot be used, nothing is kept and the log says so. Default false: it is an error.
    /// </summary>
    public bool DataFolderIsDefault { get; init; }

    /// <summary>
    /// The name of the replica that this coordinator owns: 1 to 64 letters, digits, '-', '_' and '.'. Coordinators that share a store need different ones, and
    /// keep theirs when they start again. Null, the default: "replica-0" alone, else one made from the data folder's cluster id.
    /// </summary>
    public string? ReplicaName { get; init; }

    /// <summary>A model that drafts for the served one. Null, the default: none.</summary>
    public DraftOptions? Draft { get; init; }

    public SessionsOptions Sessions { get; init; } = new();

    public ApiOptions Api { get; init; } = new();

    public AdapterOptions Adapters { get; init; } = new();

    public EngineOptions Engine { get; init; } = new();

    public ClusterDeadlines Deadlines { get; init; } = new();
}

/// <summary>All that can be checked before the model is opened; names the first wrong value.</summary>
public sealed class CoordinatorOptionsValidator(
    IValidateOptions<ApiOptions> api, IValidateOptions<EngineOptions> engine, IValidateOptions<ClusterDeadlines> deadlines)
    : IValidateOptions<CoordinatorOptions>
{
    public ValidateOptionsResult Validate(string? name, CoordinatorOptions options)
    {
        if (FirstProblem(options) is { } problem) return ValidateOptionsResult.Fail(problem);
        var ofApi = api.Validate(name, options.Api);
        if (ofApi.Failed) return ofApi;
        var ofEngine = engine.Validate(name, options.Engine);
        return ofEngine.Failed ? ofEngine : deadlines.Validate(name, options.Deadlines);
    }

    /// <summary>What is wrong with these options themselves, in one line; null: nothing.</summary>
    public static string? FirstProblem(CoordinatorOptions options) =>
        ListenProblem("--listen", options.Listen, ApiProblem(options))
        ?? ListenProblem("--grpc-listen", options.GrpcListen, RpcProblem(options, options.GrpcListen))
        ?? (options.MetricsListen is { } metrics ? ListenProblem("--metrics-listen", metrics, ListenAddress.FirstProblem(metrics, Uri.UriSchemeHttp)) : null)
        ?? Problem("--workers", options.Workers, 1, 1024)
        ?? Problem("--min-workers", options.MinWorkers, 1, options.Workers)
        ?? (options.TensorParallel is { } ranks ? Problem("--tensor-parallel", ranks, 1, RankShares.MaxRanks) : null)
        ?? Problem("--streams", options.Streams, 1, 4096)
        ?? (options.ReplicaName is { } replica && !WorkerId.IsValid(replica)
            ? $"--name is '{replica}'; it must be 1 to 64 letters, digits, '-', '_' and '.'"
            : null)
        ?? (options.ContextLength is { } context ? Problem("--context", context, 2, int.MaxValue) : null)
        ?? DraftProblem(options)
        ?? options.Adapters.FirstProblem()
        ?? options.Sessions.FirstProblem();

    /// <summary>A certificate of the API's own hides what is said, but lets in whoever comes; keys do not.</summary>
    static string? ApiProblem(CoordinatorOptions options) =>
        options.Api.Certificate is null && options.Listen.StartsWith("https:", StringComparison.OrdinalIgnoreCase)
            ? $"https needs a certificate: give {ApiCertificateFiles.CertificateOption} and {ApiCertificateFiles.KeyOption} too"
        : ListenAddress.FirstProblem(options.Listen, options.Api.Certificate is null ? Uri.UriSchemeHttp : Uri.UriSchemeHttps)
        ?? Exposure.Problem(options.Listen, asks: options.Api.KeysFile is not null, ApiKeyFile.Option, options.Insecure);

    static string? RpcProblem(CoordinatorOptions options, string listen) =>
        ListenAddress.FirstProblem(listen, tls: options.Tls is not null)
        ?? Exposure.Problem(listen, asks: options.Tls is not null || options.JoinTokenFile is not null, Exposure.MemberProofs, options.Insecure);

    static string? DraftProblem(CoordinatorOptions options) => options.Draft is not { } draft ? null
        : !options.Engine.Speculate ? $"{DraftOptions.ModelName} and --no-speculation are both given: give one"
        : ListenProblem(DraftOptions.ListenName, draft.GrpcListen, RpcProblem(options, draft.GrpcListen));

    static string? ListenProblem(string name, string value, string? problem) => problem is null ? null : $"{name} is '{value}'; {problem}";
}
