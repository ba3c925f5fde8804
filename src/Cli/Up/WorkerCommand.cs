using System.CommandLine;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator;
using LlamaCluster.Worker;
using LlamaCluster.Worker.Hosting;

namespace LlamaCluster.Cli.Up;

/// <summary>`worker`: holds and runs one shard of the model that the coordinator serves.</summary>
static class WorkerCommand
{
    public const string ExitWhenInputCloses = "--exit-when-input-closes";
    public const string ExitWithParentThread = "--exit-with-parent-thread";
    public const string Profiles = "--profiles";
    public const string TrustDigest = "--trust-digest";

    const string UsualFolders = "without it in XDG_CACHE_HOME, HOME/.cache, /var/cache or the temporary files, the first that can be written to";

    public static Command Create()
    {
        var coordinator = UrlOption.Create("--coordinator", "the coordinator's gRPC address");
        var listen = new Option<string?>("--listen")
        {
            HelpName = "URL",
            Description = "where the coordinator and other workers reach this one; without it any port of 127.0.0.1",
        };
        var metricsListen = CoordinatorCommand.MetricsListenOption(
            "where Prometheus finds this worker's /metrics, such as http://127.0.0.1:9101; without it nowhere");
        var logFormat = LogFormatOption.Create();
        var threads = new Option<int>("--threads") { HelpName = "K", Description = "compute threads; 0: one for each processor", DefaultValueFactory = _ => 0 };
        var cache = new Option<string?>("--cache") { HelpName = "DIR", Description = $"where fetched weights are kept; {UsualFolders}" };
        var cacheSize = SizeOption.Create(
            "--weights-cache-size",
            "how big that cache may get: what was not used for longest goes first; without it a tenth of the disk stays free, or 32 GiB if that is less");
        var profiles = new Option<string?>(Profiles)
        {
            HelpName = "DIR",
            Description = $"where measurements of this machine are kept for a week; into an empty one it is measured anew; {UsualFolders}",
        };
        var memory = SizeOption.Create(
            "--memory", "for weights, KV cache and buffers; without it nine tenths of what is free: several workers of one machine need it");
        var model = new Option<string?>("--model")
        {
            HelpName = "PATH",
            Description = "the model's files on this machine; without it the coordinator's path is tried, then weights are fetched",
        };
        var quantize = QuantizeOption.Create();
        var hub = HubOption.CreateForWorkers();
        var trustDigest = TrustDigestOption();
        var kvDisk = new KvDiskOptions("where keys and values of prompts are kept beyond memory, also when the worker stops; a folder of this worker's own");
        var journal = new ActivationJournalOptions();
        var name = new Option<string>("--name")
        {
            HelpName = "NAME",
            Description = "for people, and for the order in which workers get layers; without it the machine's",
            DefaultValueFactory = _ => "",
        };
        var peerLink = TensorOptions.PeerLink();
        var orphanTimeout = new DurationOption(
            "--orphan-timeout", "how long it keeps its weights for a coordinator that is gone; it goes on trying to register after that",
            WorkerOptions.UsualOrphanTimeout);
        var (tls, reflection) = (new TlsOptions(), CoordinatorCommand.ReflectionOption());
        var joinToken = JoinTokenOption.Create("the coordinator must know it too");
        var insecure = InsecureOption.Create("the coordinator shows neither a token nor a certificate (--join-token-file, --tls-ca)");
        var exitWhenInputCloses = new Option<bool>(ExitWhenInputCloses)
        {
            Hidden = true,
            Description = "end with the process that holds the other end of stdin",
        };
        var exitWithParentThread = new Option<bool>(ExitWithParentThread)
        {
            Hidden = true,
            Description = "end with the thread that started this process",
        };
        var command = new Command("worker", "Hold one shard of the model and run it.")
        {
            coordinator, listen, metricsListen, logFormat, threads, cache, cacheSize, profiles, memory, model, quantize, hub, trustDigest, name, peerLink,
            joinToken, insecure, orphanTimeout, reflection,
            exitWhenInputCloses, exitWithParentThread,
        };
        foreach (var option in kvDisk.All.Concat(journal.All).Concat(tls.All)) command.Add(option);
        command.SetAction((parsed, cancellation) => RunAsync(
            new WorkerOptions
            {
                Coordinator = parsed.GetRequiredValue(coordinator),
                Listen = parsed.GetValue(listen) ?? $"{TlsOptions.SchemeOf(tls.Read(parsed))}://127.0.0.1:0",
                MetricsListen = parsed.GetValue(metricsListen),
                LogFormat = logFormat.In(parsed),
                Threads = parsed.GetValue(threads),
                CacheFolder = parsed.GetValue(cache),
                CacheBytes = parsed.GetValue(cacheSize),
                ProfileFolder = parsed.GetValue(profiles),
                KvDiskFolder = kvDisk.Read(parsed)?.Folder,
                KvDiskBytes = kvDisk.Read(parsed)?.Bytes,
                JournalFolder = journal.Read(parsed)?.Folder,
                JournalBytes = journal.Read(parsed)?.Bytes,
                MemoryBytes = parsed.GetValue(memory),
                ModelPath = parsed.GetValue(model) is { } path ? QuantizeOption.PathOf(parsed, quantize, path) : null,
                Hub = HubOption.AccessOf(parsed),
                TrustDigest = parsed.GetValue(trustDigest),
                Name = parsed.GetRequiredValue(name),
                PeerLink = peerLink.In(parsed),
                OrphanTimeout = orphanTimeout.In(parsed),
                Tls = tls.Read(parsed),
                JoinTokenFile = parsed.GetValue(joinToken),
                Insecure = parsed.GetValue(insecure),
                GrpcReflection = parsed.GetValue(reflection),
                ExitWhenInputCloses = parsed.GetValue(exitWhenInputCloses),
                ExitWithParentThread = parsed.GetValue(exitWithParentThread),
            },
            cancellation));
        return command;
    }

    public static Option<bool> TrustDigestOption() =>
        new(TrustDigest) { Description = "take model files by their digest, a sample, and do not compare all of what is read with the coordinator's model" };

    static async Task<int> RunAsync(WorkerOptions options, CancellationToken cancellation)
    {
        if (WorkerOptionsRules.FirstProblem(options) is { } problem) throw new InvalidOptionsException(problem);
        await using var host = WorkerHost.Create(options);
        return await host.RunAsync(cancellation);
    }
}
