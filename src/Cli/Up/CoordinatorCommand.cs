using System.CommandLine;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cluster;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Hosting;

namespace LlamaCluster.Cli.Up;

/// <summary>`coordinator`: serves the API and waits for workers on other machines.</summary>
static class CoordinatorCommand
{
    const int UsualGrpcPort = 8081;

    public static Command Create()
    {
        var (model, quantize) = (ModelOption.Create(), QuantizeOption.Create());
        var listen = new Option<string>("--listen")
        {
            HelpName = "URL",
            Description = "where clients reach the API",
            DefaultValueFactory = _ => "http://127.0.0.1:8080",
        };
        var grpcListen = new Option<string?>("--grpc-listen")
        {
            HelpName = "URL",
            Description = $"where workers reach the coordinator; without it 127.0.0.1:{UsualGrpcPort}",
        };
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
        var (objective, sumType) = (ObjectiveOption.Create("throughput"), TensorOptions.SumType());
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
            Description = "where sessions, the cluster's id and this coordinator's epoch are kept; without it the user's state folder (~/.local/state/llamacluster)",
        };
        var (tls, reflection) = (new TlsOptions(), ReflectionOption());
        var joinToken = JoinTokenOption.Create("workers that do not know it are not taken in");
        var drain = new TimeOption("--drain-timeout", "how long running requests may go on when it is told to stop", new ClusterDeadlines().Shutdown);
        var (queue, api, sessions, recovery) = (new QueueOptions(), new HttpApiOptions(), new SessionOptions(), new RecoveryOptions());
        var command = new Command("coordinator", "Serve the API; workers register and are given their shards.")
        {
            model, quantize, listen, grpcListen, workers, tensorParallel, objective, streams, sumType, context, dataFolder, drain, joinToken, reflection,
        };
        foreach (var option in tls.All) command.Add(option);
        foreach (var option in queue.All.Concat(api.All).Concat(sessions.All).Concat(recovery.All)) command.Add(option);
        command.SetAction((parsed, cancellation) => RunAsync(
            new CoordinatorOptions
            {
                ModelPath = ModelOption.PathOf(parsed, model, quantize),
                Listen = parsed.GetRequiredValue(listen),
                GrpcListen = parsed.GetValue(grpcListen) ?? $"{TlsOptions.SchemeOf(tls.Read(parsed))}://127.0.0.1:{UsualGrpcPort}",
                Workers = parsed.GetValue(workers),
                MinWorkers = recovery.MinWorkersOf(parsed),
                Deadlines = recovery.DeadlinesOf(parsed) with { Shutdown = drain.In(parsed) },
                TensorParallel = parsed.GetValue(tensorParallel),
                Objective = ObjectiveOption.Parse(parsed.GetRequiredValue(objective)),
                Streams = parsed.GetValue(streams),
                ContextLength = parsed.GetValue(context),
                DataFolder = parsed.GetValue(dataFolder) ?? StateRoot.Find(),
                DataFolderIsDefault = parsed.GetValue(dataFolder) is null,
                Sessions = sessions.Read(parsed),
                Tls = tls.Read(parsed),
                JoinTokenFile = parsed.GetValue(joinToken),
                GrpcReflection = parsed.GetValue(reflection),
                Api = api.Read(parsed),
                Engine = queue.Read(parsed) with { SumType = sumType.In(parsed) },
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
        error.WriteLine($"listening api={api} grpc={grpc} model={host.Model.Name}");
        await host.WaitForShutdownAsync(cancellation);
        return ExitCode.Done;
    }
}
