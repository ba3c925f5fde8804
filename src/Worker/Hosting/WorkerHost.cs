using System.Net;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Cluster.Telemetry;
using LlamaCluster.Kernels;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.KvDisk;
using LlamaCluster.Worker.KvTransfer;
using LlamaCluster.Worker.Loading;
using LlamaCluster.Worker.Measuring;
using LlamaCluster.Worker.Models;
using LlamaCluster.Worker.Peers;
using LlamaCluster.Worker.Profiling;
using LlamaCluster.Worker.Registration;
using LlamaCluster.Worker.Services;
using LlamaCluster.Worker.Sources;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Hosting;

/// <summary>
/// A worker process. It serves the coordinator and the other workers, and keeps itself registered with the coordinator. On SIGTERM or SIGINT it
/// tells the coordinator, waits for a while to be let go, closes its streams, and stops.
/// </summary>
public sealed partial class WorkerHost : IAsyncDisposable
{
    const int Done = 0;
    const int Failed = 1;

    /// <summary>For calls that do not end by themselves when the worker closes its streams.</summary>
    static readonly TimeSpan ShutdownTimeout = TimeSpan.FromSeconds(2);

    readonly WebApplication _app;
    readonly WorkerOptions _options;
    readonly ILogger _logger;
    ListenAddress? _bound;
    int _stopped;

    WorkerHost(WebApplication app, WorkerOptions options) =>
        (_app, _options, _logger) = (app, options, app.Services.GetRequiredService<ILogger<WorkerHost>>());

    /// <summary>Where it listens, with the real port. Known once it is started.</summary>
    public Uri Address => Bound.Uri;

    /// <summary>Where its metrics are; null: nowhere. Known once it is started.</summary>
    public Uri? MetricsAddress { get; private set; }

    internal IServiceProvider Services => _app.Services;

    ListenAddress Bound => _bound ?? throw new InvalidOperationException("the worker is not started");

    /// <exception cref="ArgumentException">An option is not allowed; the message is one line (see <see cref="WorkerOptionsRules"/>).</exception>
    /// <exception cref="IOException">A certificate or the join token cannot be used.</exception>
    public static WorkerHost Create(WorkerOptions options) => Create(options, services => services
        .AddSingleton<IModelLoader, LlamaLoader>()
        .AddSingleton(provider => ActivatorUtilities.CreateInstance<ProfileCache>(
            provider, options.ProfileFolder ?? provider.GetRequiredService<CacheRoot>().Profiles))
        .AddSingleton<IProfileSource, MeasuredProfile>());

    /// <param name="addModel">Adds the <see cref="IModelLoader"/>, and may replace other services, as <see cref="IProfileSource"/>.</param>
    internal static WorkerHost Create(WorkerOptions options, Action<IServiceCollection> addModel)
    {
        if (WorkerOptionsRules.FirstProblem(options) is { } problem) throw new ArgumentException(problem);
        var tls = options.Tls is null ? null : ClusterTls.Load(options.Tls);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        // The worker logs one line of its own if it cannot start.
        builder.Logging.UseOneLineConsole(options.LogFormat, $"worker {NameOf(options)}")
            .AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = ShutdownTimeout);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.UseClusterRpcLimits();
            (kestrel.ApplicationServices.GetService<ConnectionLimits>() ?? ConnectionLimits.OfWorker).ApplyTo(kestrel.Limits);
            kestrel.Listen(ListenAddress.Parse(options.Listen).EndPoint, listen => listen.IsFor(ListenerKind.Rpc).UseClusterRpc(tls));
            if (options.MetricsListen is { } metrics)
                kestrel.Listen(ListenAddress.Parse(metrics).EndPoint, listen => listen.IsFor(ListenerKind.Metrics).Protocols = HttpProtocols.Http1);
        });
        AddServices(builder.Services, options);
        if (tls is not null) builder.Services.AddSingleton(_ => tls);
        if (options.JoinTokenFile is { } token) builder.Services.AddSingleton(JoinToken.Load(token));
        addModel(builder.Services);
        var app = builder.Build();
        tls?.LogTo(app.Services.GetRequiredService<ILogger<ClusterTls>>());
        app.UseSeparateListeners();
        app.UseClusterRpcRules();
        if (options.MetricsListen is not null)
        {
            app.Services.GetRequiredService<ShardGauges>();   // observes from its creation on
            app.MapMetrics().OnListeners(ListenerKind.Metrics);
        }
        var rpc = app.MapGroup("").OnListeners(ListenerKind.Rpc);
        rpc.MapClusterRpc(options.GrpcReflection);
        rpc.MapGrpcService<IdentityService>();
        rpc.MapGrpcService<AssignmentsService>();
        rpc.MapGrpcService<StepsService>();
        rpc.MapGrpcService<ActivationsService>();
        rpc.MapGrpcService<ReduceService>();
        rpc.MapGrpcService<KvTransferService>();
        rpc.MapGrpcService<PeerWeightsService>();
        rpc.MapGrpcService<LinksService>();
        return new WorkerHost(app, options);
    }

    /// <summary>Starts to listen.</summary>
    /// <exception cref="IOException">The address cannot be listened on.</exception>
    public async Task StartAsync(CancellationToken cancellation = default)
    {
        Service<ListenSockets>().Open(ListenAddress.Parse(_options.Listen));
        if (_options.MetricsListen is { } metrics) Service<ListenSockets>().Open(ListenAddress.Parse(metrics));
        await _app.StartAsync(cancellation);
        var bound = Service<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.ToList();   // in the order of listening
        _bound = ListenAddress.Parse(bound[0]);
        if (_options.MetricsListen is not null) LogMetrics(MetricsAddress = new Uri(new Uri(bound[1]), MetricsExport.Path));
    }

    /// <summary>Starts, if it is not started yet, and works until it is told to stop, by a signal or by the token.</summary>
    /// <returns>The exit code: 0, or 1 if it cannot work, with one line in the log that says why.</returns>
    public async Task<int> RunAsync(CancellationToken cancellation = default)
    {
        if (_options.ExitWithParentThread) ParentDeath.EndsThisProcess();
        if (_options.ExitWhenInputCloses) InputWatch.Start(Console.OpenStandardInput(), () => Environment.Exit(Done));
        try
        {
            var (canWork, ownDigest) = await PrepareAsync(cancellation);
            if (!canWork) return Failed;
            return await StayRegisteredAsync(ownDigest, cancellation);
        }
        finally
        {
            await StopAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await _app.DisposeAsync();
    }

    static void AddServices(IServiceCollection services, WorkerOptions options)
    {
        var process = new ProcessIdentity("worker", NameOf(options));
        services.AddTracesExport(process);
        if (options.MetricsListen is not null)
            services.AddSingleton<ShardGauges>()
                .AddMetricsExport(new ExportedMetrics(process, [WorkerMetrics.MeterName], WorkerMetricTable.All));
        AddUsualServices(services.AddMetrics().AddSingleton<WorkerMetrics>(), options);
    }

    static void AddUsualServices(IServiceCollection services, WorkerOptions options) => services
        .AddClusterRpc(options.GrpcReflection)
        .AddListenSockets()
        .AddLargeMessages<AssignmentsService>()
        .AddLargeMessages<StepsService>()
        .AddLargeMessages<ActivationsService>()
        .AddLargeMessages<ReduceService>()
        .AddLargeMessages<KvTransferService>()
        .AddLargeMessages<LinksService>()
        .AddSingleton<ClusterOwner>()
        .AddSingleton<ICallerKeys, WorkerCallerKeys>()
        .AddSingleton(options)
        .AddSingleton(TimeProvider.System)
        .AddSingleton(WorkerMemory.Of(options))
        .AddSingleton(_ => CacheRoot.Find())
        .AddSingleton<WorkerLifetime>()
        .AddSingleton(_ => new ComputeThreads(options.Threads > 0 ? options.Threads : Environment.ProcessorCount))
        .AddSingleton<PeerChannels>()
        .AddSingleton<RankCaller>()
        .AddSingleton<StageCaller>()
        .AddSingleton(provider => ActivatorUtilities.CreateInstance<WeightsCache>(
            provider, options.CacheFolder ?? provider.GetRequiredService<CacheRoot>().Weights, new CacheLimit(options.CacheBytes)))
        .AddSingleton<IProfileSource, NoProfile>()
        .AddSingleton<GivenWeights>()
        .AddSingleton<GivingTurns>()
        .AddSingleton<LocalModels>()
        .AddSingleton<RemoteModels>()
        .AddSingleton<ModelSource>()
        .AddSingleton<BlockDisk>()
        .AddSingleton<ActivationJournal>()
        .AddSingleton<ShardLoader>()
        .AddSingleton<KvFetcher>()
        .AddSingleton<ShardKeeper>();

    /// <summary>Listens, and opens the operator's model if there is one. If that fails, logs why.</summary>
    async Task<(bool CanWork, string? OwnDigest)> PrepareAsync(CancellationToken cancellation)
    {
        try
        {
            if (_bound is null) await StartAsync(cancellation);
            TellCaches();
            if (SharedMemory.RemoveLeftovers() is > 0 and var left) LogLeftovers(left);
            if (Service<BlockDisk>() is { IsOn: true } disk) disk.Open();
            if (Service<ActivationJournal>() is { IsOn: true } journal) journal.Open();
            return (true, _options.ModelPath is { } path ? await Service<LocalModels>().DigestAsync(path, cancellation) : null);
        }
        catch (Exception e) when (e is IOException or ModelFormatException)
        {
            LogFailed(e.Message);
            return (false, null);
        }
    }

    /// <exception cref="IOException">There is no folder for them.</exception>
    void TellCaches()
    {
        if (_options is { CacheFolder: not null, ProfileFolder: not null }) return;
        var root = Service<CacheRoot>();
        LogCaches(_options.CacheFolder ?? root.Weights, _options.ProfileFolder ?? root.Profiles);
        if (root.Why.Length > 0) LogUnusualCaches(root.Folder, root.Why);
    }

    async Task<int> StayRegisteredAsync(string? ownDigest, CancellationToken cancellation)
    {
        var model = Service<IModelLoader>();
        var profile = await Service<IProfileSource>().GetAsync(cancellation);
        var name = NameOf(_options);
        var card = new WorkerCard(name, Bound, Service<WorkerMemory>(), model.Threads, model.InstructionSet, profile, ownDigest);
        using var membership = new MembershipLoop(
            Service<PeerChannels>(), _options.Coordinator, _options.OrphanTimeout, card, Service<ClusterOwner>(), Service<ShardKeeper>(),
            Service<TimeProvider>(), Service<ILogger<MembershipLoop>>());
        using var beating = new CancellationTokenSource();
        var member = membership.RunAsync(beating.Token);
        if (await Task.WhenAny(member, ToldToStopAsync(cancellation)) != member)
        {
            Service<WorkerLifetime>().Leave();
            await membership.DrainAsync(_options.DrainTimeout);
        }
        await beating.CancelAsync();
        if (await member is not { } refusal) return Done;
        LogFailed(refusal);
        return Failed;
    }

    async Task ToldToStopAsync(CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation, _app.Lifetime.ApplicationStopping);
        var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = stop.Token.Register(told.SetResult);
        await told.Task;
    }

    async Task StopAsync()
    {
        if (Interlocked.Exchange(ref _stopped, 1) != 0) return;
        Service<WorkerLifetime>().Close();
        Service<Readiness>().Close();
        await _app.StopAsync(CancellationToken.None);
    }

    static string NameOf(WorkerOptions options) => options.Name.Length > 0 ? options.Name : Dns.GetHostName();

    T Service<T>() where T : notnull => _app.Services.GetRequiredService<T>();

    [LoggerMessage(Level = LogLevel.Information, Message = "Weights are kept in {Weights}, measurements in {Profiles}")]
    partial void LogCaches(string weights, string profiles);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Caches are in {Folder}, because {Why}; --cache and --profiles choose other folders")]
    partial void LogUnusualCaches(string folder, string why);

    [LoggerMessage(Level = LogLevel.Information, Message = "Removed shared memory that {Count} workers left behind when they were killed")]
    partial void LogLeftovers(int count);

    [LoggerMessage(Level = LogLevel.Information, Message = "Metrics are at {Address}")]
    partial void LogMetrics(Uri address);

    [LoggerMessage(Level = LogLevel.Error, Message = "The worker cannot go on: {Problem}")]
    partial void LogFailed(string problem);
}
