using System.CommandLine;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator;
using LlamaCluster.Worker;

namespace LlamaCluster.Cli.Up;

/// <summary>`up`: starts a whole cluster on this machine.</summary>
static class UpCommand
{
    public static Command Create()
    {
        var (model, quantize) = (ModelOption.Create(), QuantizeOption.Create());
        var workers = new Option<int>("--workers") { HelpName = "N", Description = "worker processes", DefaultValueFactory = _ => 2 };
        var (tensorParallel, experts) = (TensorOptions.Parallel(), TensorOptions.Experts());
        var (sumType, peerLink) = (TensorOptions.SumType(), TensorOptions.PeerLink());
        var threads = new Option<int?>("--threads-per-worker")
        {
            HelpName = "K",
            Description = "compute threads of each worker; without it the processors are shared out",
        };
        var port = new Option<int>("--port")
        {
            HelpName = "PORT",
            Description = "port of the API on 127.0.0.1; 0 takes a free one",
            DefaultValueFactory = _ => 8080,
        };
        var context = CoordinatorCommand.ContextOption();
        var restartLimit = new Option<int>("--restart-limit")
        {
            HelpName = "N",
            Description = "how often in a row a worker that dies within a minute is started again before it is given up; pauses grow from 1 s to 60 s",
            DefaultValueFactory = _ => RestartPolicy.UsualLimit,
        };
        var trustDigest = WorkerCommand.TrustDigestOption();
        var kvDisk = new KvDiskOptions("where keys and values of prompts are kept beyond memory, also when the cluster stops; each worker has a folder in it");
        var journal = new ActivationJournalOptions();
        var dataFolder = new Option<string?>("--data-dir") { HelpName = "DIR", Description = "where sessions are kept; without it they end with `up`" };
        var (queue, api, sessions, recovery) = (new QueueOptions(), new HttpApiOptions(), new SessionOptions(), new RecoveryOptions());
        var (filters, adapters, draft) = (new FilterOptionSet(startsGuard: true), new AdapterOptionSet(), new DraftOptionSet(startsWorker: true));
        var endsWithInput = new Option<bool>(WorkerCommand.ExitWhenInputCloses) { Hidden = true };
        var command = new Command("up", "Start a coordinator and N worker processes on this machine; print one line when chat works.")
        {
            model, HubOption.Create(), quantize, workers, tensorParallel, experts, sumType, peerLink, threads, port, context, dataFolder, restartLimit,
            trustDigest, endsWithInput,
        };
        var shared = adapters.All.Concat(draft.All).Concat(kvDisk.All).Concat(journal.All).Concat(queue.All)
            .Concat(api.All).Concat(filters.All).Concat(sessions.All).Concat(recovery.All);
        foreach (var option in shared) command.Add(option);
        command.SetAction((parsed, cancellation) =>
        {
            var count = parsed.GetValue(workers);
            var options = new UpOptions(
                new CoordinatorOptions
                {
                    ModelPath = ModelOption.PathOf(parsed, model, quantize),
                    Listen = $"http://127.0.0.1:{NumberOption.Check("--port", parsed.GetValue(port), 0, ushort.MaxValue)}",
                    Workers = count,
                    MinWorkers = recovery.MinWorkersOf(parsed),
                    Deadlines = recovery.DeadlinesOf(parsed),
                    TensorParallel = parsed.GetValue(tensorParallel),
                    ExpertParallel = experts.In(parsed),
                    ContextLength = parsed.GetValue(context),
                    DataFolder = parsed.GetValue(dataFolder),
                    Draft = draft.Read(parsed, Uri.UriSchemeHttp),
                    Adapters = adapters.Read(parsed),
                    Sessions = sessions.Read(parsed),
                    Api = api.Read(parsed) with { Filters = filters.Read(parsed) },
                    Engine = queue.Read(parsed) with { SumType = sumType.In(parsed), DraftTokens = draft.TokensOf(parsed) },
                },
                parsed.GetValue(threads) is { } given
                    ? NumberOption.Check("--threads-per-worker", given, 1, 4096)
                    : Math.Max(1, Environment.ProcessorCount / Math.Max(1, count)),
                peerLink.In(parsed),
                NumberOption.Check("--restart-limit", parsed.GetValue(restartLimit), 0, int.MaxValue),
                parsed.GetValue(trustDigest),
                kvDisk.Read(parsed))
            {
                GuardModel = filters.ModelOf(parsed),
                DraftThreads = draft.ThreadsOf(parsed),
                Journal = journal.Read(parsed),
                EndsWithInput = parsed.GetValue(endsWithInput),
            };
            return new UpRun(options, parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error).RunAsync(cancellation);
        });
        return command;
    }
}

/// <param name="ThreadsPerWorker">Compute threads, at least 1.</param>
/// <param name="RestartLimit">See <see cref="RestartPolicy"/>.</param>
/// <param name="TrustDigest">See <see cref="WorkerOptions.TrustDigest"/>.</param>
/// <param name="KvDisk">Of all workers together; null: none.</param>
sealed record UpOptions(
    CoordinatorOptions Coordinator, int ThreadsPerWorker, PeerLinkPreference PeerLink, int RestartLimit, bool TrustDigest, KvDiskPlace? KvDisk = null)
{
    /// <summary>The model of a guard that is to be started; null: none.</summary>
    public string? GuardModel { get; init; }

    /// <summary>Compute threads of the draft model's worker; null: as many as another worker's.</summary>
    public int? DraftThreads { get; init; }

    /// <summary>Where all workers together keep what they send on; null: nowhere.</summary>
    public ActivationJournalPlace? Journal { get; init; }

    /// <summary>It ends when its stdin does.</summary>
    public bool EndsWithInput { get; init; }
}
