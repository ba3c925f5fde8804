using System.CommandLine;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cluster;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Cli.Up;

/// <summary>`coordinator`: serves the API and waits for workers on other machines.</summary>
static class CoordinatorCommand
{
    const int UsualGrpcPort = 8081;

    public static Command Create()
    {
        var (model, quantize, weightsFrom) = (ModelOption.Create(), QuantizeOption.Create(), new WeightsFromOption());
        var listen = new Option<string?>("--listen")
        {
            HelpName = "URL",
            Description = "where clients reach the API; without it 127.0.0.1:8080",
        };
        var grpcListen = new Option<string?>("--grpc-listen")
        {
            HelpName = "URL",
            Description = $"where workers reach the coordinator; without it 127.0.0.1:{UsualGrpcPort}",
        };
        var metricsListen = MetricsListenOption("an address for /metrics alone, such as http://127.0.0.1:9100; the API's address has it too");
        var logFormat = LogFormatOption.Create();
        var workers = new Option<int>("--workers")
        {
            HelpName = "N",
            Description = "workers that are wanted; further ones are spare",
            DefaultValueFactory = _ => 2,
        };
        var tensorParallel = new Option<int?>("--tensor-parallel")
        {
            HelpName = "T",
            Description = "workers that share each stage; without it as the planner finds best",
        };
        var (objective, experts, sumType) = (ObjectiveOption.Create(PlanObjective.Throughput), TensorOptions.Experts(), TensorOptions.SumType());
        var streams = new Option<int>("--streams")
        {
            HelpName = "N",
            Description = "with --objective throughput: as many at a time as plans are to be good for",
            DefaultValueFactory = _ => new CoordinatorOptions { ModelPath = "" }.Streams,
        };
        var context = ContextOption();
        var dataFolder = new Option<string?>("--data-dir")
        {
            HelpName = "DIR",
            Description = "where sessions, the cluster's id and this coordinator's epoch are kept; "
                + "without it the user's state folder (~/.local/state/llamacluster)",
        };
        var name = new Option<string?>("--name")
        {
            HelpName = "NAME",
            Description = "with --state: this coordinator's name among those that share the server, "
                + "the same at each start; without it one made for the data folder",
        };
        var (tls, apiCertificate, reflection) = (new TlsOptions(), new ApiCertificateOptions(), ReflectionOption());
        var joinToken = JoinTokenOption.Create("workers that do not know it are not taken in");
        var insecure = InsecureOption.Create(
            "callers of the API show no key (--api-keys-file), or workers neither a token nor a certificate (--join-token-file, --tls-ca)");
        var drain = new DurationOption("--drain-timeout", "how long running requests may go on when it is told to stop", new ClusterDeadlines().Shutdown);
        var (queue, api, sessions, recovery) = (new QueueOptions(), new HttpApiOptions(), new SessionOptions(), new RecoveryOptions());
        var (filters, adapters, draft) = (new FilterOptionSet(startsGuard: false), new AdapterOptionSet(), new DraftOptionSet(startsWorker: false));
        var command = new Command("coordinator", "Serve the API; workers register and are given their shards.")
        {
            model, HubOption.Create(), quantize, weightsFrom.Option, listen, grpcListen, metricsListen, logFormat, workers, tensorParallel, experts, objective,
            streams, sumType, context, dataFolder, name, drain, joinToken, insecure, reflection,
        };
        foreach (var option in tls.All.Concat(apiCertificate.All)) command.Add(option);
        foreach (var option in adapters.All.Concat(draft.All).Concat(queue.All).Concat(api.All).Concat(filters.All).Concat(sessions.All).Concat(recovery.All))
            command.Add(option);
        command.SetAction((parsed, cancellation) => RunAsync(
            new CoordinatorOptions
            {
                WeightsHub = weightsFrom.HubIn(parsed, model, quantize),   // before anything is pulled
                SharesWeights = weightsFrom.IsPeerIn(parsed),
                ModelPath = ModelOption.PathOf(parsed, model, quantize),
                Listen = parsed.GetValue(listen) ?? $"{(apiCertificate.Read(parsed) is null ? Uri.UriSchemeHttp : Uri.UriSchemeHttps)}://127.0.0.1:8080",
                GrpcListen = parsed.GetValue(grpcListen) ?? $"{TlsOptions.SchemeOf(tls.Read(parsed))}://127.0.0.1:{UsualGrpcPort}",
                MetricsListen = parsed.GetValue(metricsListen),
                LogFormat = logFormat.In(parsed),
                Workers = parsed.GetValue(workers),
                MinWorkers = recovery.MinWorkersOf(parsed),
                Deadlines = recovery.DeadlinesOf(parsed) with { Shutdown = drain.In(parsed) },
                TensorParallel = parsed.GetValue(tensorParallel),
                ExpertParallel = experts.In(parsed),
                Objective = objective.In(parsed),
                Streams = parsed.GetValue(streams),
                ContextLength = parsed.GetValue(context),
                DataFolder = parsed.GetValue(dataFolder) ?? StateRoot.Find(),
                ReplicaName = parsed.GetValue(name),
                DataFolderIsDefault = parsed.GetValue(dataFolder) is null,
                Sessions = sessions.Read(parsed),
                Draft = draft.Read(parsed, TlsOptions.SchemeOf(tls.Read(parsed))),
                Adapters = adapters.Read(parsed),
                Tls = tls.Read(parsed),
                JoinTokenFile = parsed.GetValue(joinToken),
                Insecure = parsed.GetValue(insecure),
                GrpcReflection = parsed.GetValue(reflection),
                Api = api.Read(parsed) with { Certificate = apiCertificate.Read(parsed), Filters = filters.Read(parsed) },
                Engine = queue.Read(parsed) with { SumType = sumType.In(parsed), DraftTokens = draft.TokensOf(parsed) },
            },
            parsed.InvocationConfiguration.Error,
            cancellation));
        return command;
    }

    /// <summary>--context, for those who serve.</summary>
    public static Option<int?> ContextOption() => new("--context")
    {
        HelpName = "N",
        Description = "most tokens of prompt and answer; without it the model's own limit",
    };

    /// <summary>--metrics-listen, for the processes that may have an address for metrics.</summary>
    public static Option<string?> MetricsListenOption(string description) => new("--metrics-listen") { HelpName = "URL", Description = description };

    /// <summary>--grpc-reflection, for the processes that have a gRPC address.</summary>
    public static Option<bool> ReflectionOption() => new("--grpc-reflection")
    {
        Description = "let tools such as grpcurl ask the gRPC address for its services",
    };

    static async Task<int> RunAsync(CoordinatorOptions options, TextWriter error, CancellationToken cancellation)
    {
        await using var host = CoordinatorHost.Create(options);
        await host.StartAsync(cancellation);
        var (api, grpc) = (host.ApiAddress.GetLeftPart(UriPartial.Authority), host.GrpcAddress.GetLeftPart(UriPartial.Authority));
        var metrics = host.MetricsAddress is { } address ? $" metrics={address.GetLeftPart(UriPartial.Authority)}" : "";
        var draft = host.DraftGrpcAddress is { } drafting ? $" draft-grpc={drafting.GetLeftPart(UriPartial.Authority)}" : "";
        error.WriteLine($"listening api={api} grpc={grpc}{draft}{metrics} model={host.Model.Name}");
        await host.WaitForShutdownAsync(cancellation);
        return host.Failure is { } why ? throw new CommandFailedException(why) : ExitCode.Done;
    }
}
