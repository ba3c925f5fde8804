using System.Diagnostics.Metrics;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Cluster.Telemetry;
using LlamaCluster.Coordinator.Adapters;
using LlamaCluster.Coordinator.Api.Auditing;
using LlamaCluster.Coordinator.Api.Endpoints;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Observing;
using LlamaCluster.Coordinator.Peers;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using LlamaCluster.Sessions;
using LlamaCluster.Sessions.Hosting;
using LlamaCluster.Sessions.Responses;
using LlamaCluster.Text.Grammars;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>
/// A coordinator process: the HTTP API on one address, the workers' gRPC services on another. It stops on SIGTERM and SIGINT: running
/// sequences have a moment to finish, then all connections are closed.
/// </summary>
public sealed partial class CoordinatorHost : IAsyncDisposable
{
    /// <summary>For closing connections, after the time that running sequences have.</summary>
    static readonly TimeSpan ClosingTime = TimeSpan.FromSeconds(3);

    readonly WebApplication _app;
    readonly Listeners _listeners;
    readonly OpenedModel _model;

    CoordinatorHost(WebApplication app, Listeners listeners, OpenedModel model) => (_app, _listeners, _model) = (app, listeners, model);

    /// <summary>Where clients reach the API, with the port that was taken. Known once the host has started.</summary>
    public Uri ApiAddress => _listeners.ApiAddress;

    /// <summary>Where workers reach the coordinator, with the port that was taken. Known once the host has started.</summary>
    public Uri GrpcAddress => _listeners.RpcAddress;

    /// <summary>Where /metrics is beside the API's address, with the port that was taken; null: nowhere. Known once the host has started.</summary>
    public Uri? MetricsAddress => _listeners.MetricsAddress;

    /// <summary>Where the draft model's worker registers; null: there is no draft model. Known once the host has started.</summary>
    public Uri? DraftGrpcAddress => Services.GetService<DraftHost>()?.GrpcAddress;

    /// <summary>Bytes of the draft model's weights; null: there is no draft model.</summary>
    public long? DraftWeightBytes => Services.GetService<DraftHost>()?.WeightBytes;

    /// <summary>The state of the draft model's cluster; null: there is no draft model.</summary>
    public Latest<ClusterStatus>? DraftStatus => Services.GetService<DraftHost>()?.Status;

    /// <summary>Who has registered.</summary>
    public WorkerRegistry Members => Services.GetRequiredService<WorkerRegistry>();

    public ModelIdentity Model => _model.Identity;

    public IGenerationEngine Engine => Services.GetRequiredService<IGenerationEngine>();

    /// <summary>The scope of this coordinator's meters. A listener tells by it which of several coordinators in a process a number is from.</summary>
    public IMeterFactory Meters => Services.GetRequiredService<IMeterFactory>();

    /// <summary>The cluster's state, and news of it: who loads what, when it is ready, what went wrong.</summary>
    public Latest<ClusterStatus> Status => Services.GetRequiredService<Latest<ClusterStatus>>();

    /// <summary>Why the host stops by itself, in one line; null: it does not.</summary>
    public string? Failure => Services.GetService<PeerState>()?.Failure;

    /// <summary>What this process shows to its own API; null where that asks for no keys.</summary>
    public string? OwnApiKey => Services.GetRequiredService<ApiKeys>().Own;

    internal IServiceProvider Services => _app.Services;

    /// <summary>Checks the options, opens the model and prepares everything. Nothing listens yet.</summary>
    /// <exception cref="InvalidOptionsException">An option is out of range.</exception>
    /// <exception cref="ModelFormatException">The model, or a draft model, cannot be opened.</exception>
    /// <exception cref="IOException">A certificate, the join token, the audit log or the data folder cannot be used.</exception>
    public static CoordinatorHost Create(CoordinatorOptions options) => Create(options, TimeProvider.System);

    /// <summary>The same with listening sockets that are open already.</summary>
    public static CoordinatorHost Create(CoordinatorOptions options, ListenSockets sockets) =>
        Create(options, TimeProvider.System, services => services.AddSingleton(sockets));

    /// <summary>The same with somebody else who drafts, for measurements.</summary>
    /// <param name="drafts">Gets the draft model, or null if there is none.</param>
    public static CoordinatorHost Create(CoordinatorOptions options, Func<IDraftModel?, IDraftModel> drafts) => Create(
        options, TimeProvider.System, services => services.AddSingleton(provider => drafts(provider.GetService<DraftHost>()?.Drafts)));

    /// <param name="change">Puts other services in the place of the usual ones.</param>
    internal static CoordinatorHost Create(CoordinatorOptions options, TimeProvider time, Action<IServiceCollection>? change = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(time);
        builder.Logging.UseOneLineConsole(options.LogFormat, "coordinator");
        builder.WebHost.UseKestrelCore();
        AddServices(builder.Services, options);
        change?.Invoke(builder.Services);
        WebApplication? app = null;
        try
        {
            app = builder.Build();   // configures the listeners, so wrong options and certificates fail here, before the model is opened
            app.Services.GetService<JoinToken>();
            app.Services.GetRequiredService<ApiKeys>();
            if (options.Api.AuditLog is not null) app.Services.GetRequiredService<AuditLog>();
            app.Services.GetRequiredService<ClusterOwnership>();
            var model = app.Services.GetRequiredService<OpenedModel>();
            app.Services.GetService<DraftHost>();
            var listeners = app.Services.GetRequiredService<Listeners>();
            Map(app, options);
            return new CoordinatorHost(app, listeners, model);
        }
        catch (Exception e)
        {
            (app as IDisposable)?.Dispose();
            if (e is OptionsValidationException wrong) throw new InvalidOptionsException(wrong.Message);
            throw;
        }
    }

    /// <summary>Starts to listen, and to wait for workers.</summary>
    /// <exception cref="IOException">An address cannot be listened on.</exception>
    public Task StartAsync(CancellationToken cancellation = default)
    {
        _listeners.Open(Services.GetRequiredService<ListenSockets>());
        Services.GetService<DraftHost>()?.Open();
        LogServing(_app.Logger, _model.Identity.Name, _model.Identity.Digest, _model.ContextLength);
        if (_model.Served.TemplateProblem is { } problem) LogTemplate(_app.Logger, problem);
        if (FewBitsHint.Of(_model.Weights.Files) is { } hint) LogFewBits(_app.Logger, hint);
        return _app.StartAsync(cancellation);
    }

    /// <summary>Lets running sequences finish for a moment, then closes all connections.</summary>
    public Task StopAsync(CancellationToken cancellation = default)
    {
        _app.Lifetime.StopApplication();   // as a signal does: the host itself says it only after the sequences had their moment
        return _app.StopAsync(cancellation);
    }

    /// <summary>Completes when the host was told to stop and has stopped.</summary>
    public Task WaitForShutdownAsync(CancellationToken cancellation = default) => _app.WaitForShutdownAsync(cancellation);

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await _app.DisposeAsync();
    }

    static void AddServices(IServiceCollection services, CoordinatorOptions options)
    {
        services.Configure<HostOptions>(host => host.ShutdownTimeout = options.Deadlines.Shutdown + ClosingTime);
        services.AddRouting().AddCluster(options)
            .AddSingleton<Listeners>()
            .AddSingleton<ApiConnections>()
            .AddHostedService(provider => provider.GetRequiredService<ApiConnections>())   // before what it waits for: services stop in the other order
            .AddSingleton<IConfigureOptions<KestrelServerOptions>>(provider => provider.GetRequiredService<Listeners>())
            .AddSingleton(provider => ModelOf(provider).Served)
            .AddSingleton(provider => new SequenceRules(ModelOf(provider).VocabularySize, ModelOf(provider).ContextLength))
            .AddSingleton<ClusterMetrics>()
            .AddClusterObserving(provider => WhatIfOf(provider, options))
            .AddTracesExport(new ProcessIdentity("coordinator"))
            .AddMetricsExport(new ExportedMetrics(new ProcessIdentity("coordinator"), [CoordinatorMetrics.MeterName], CoordinatorMetricTable.All))
            .AddSingleton(provider => TakeOwnership(options, provider.GetRequiredService<ILogger<CoordinatorHost>>()))
            .AddSingleton(options.Sessions)
            .AddSingleton(SessionsOf)
            .AddSingleton(ResponsesOf)
            .AddSingleton<MemberMetrics>()
            .AddSingleton(options.Adapters)
            .AddSingleton<AdapterChanges>()
            .AddSingleton(provider => new AnswerForms(provider.GetRequiredService<GrammarCache>(), ModelOf(provider).Served.Tokenizer))
            .AddDrafts(options)
            .AddReplicas(options)
            .AddHostedService<ReplicaService>()
            .AddHostedService<ClusterSupervisor>()
            .AddHostedService(provider => provider.GetRequiredService<AdapterChanges>())
            .AddHostedService<SessionSweep>()
            .AddHostedService<HashesAhead>()
            .AddOpenAiApi();
    }

    static ClusterOwnership TakeOwnership(CoordinatorOptions options, ILogger logger)
    {
        if (!options.DataFolderIsDefault) return ClusterOwnership.Take(options.DataFolder);
        var taken = ClusterOwnership.TakeDefault(options.DataFolder, out var problem);
        if (problem is not null && !SeveralCoordinators.AreMeant(options)) LogNothingKept(logger, problem);
        else if (problem is not null && options.ReplicaName is null) LogNoName(logger, problem);
        return taken;
    }

    static SessionDirectory SessionsOf(IServiceProvider provider)
    {
        var options = provider.GetRequiredService<SessionsOptions>();
        var time = provider.GetRequiredService<TimeProvider>();
        var loggers = provider.GetRequiredService<ILoggerFactory>();
        if (provider.GetService<SiloOwner>() is { } silo) return new SessionDirectory(options, silo, time, loggers);
        return provider.GetRequiredService<ClusterOwnership>().Folder is { } folder
            ? new SessionDirectory(options, options.PlaceIn(folder), time, loggers)
            : SessionDirectory.Temporary(options, time, loggers);
    }

    static ResponseDirectory ResponsesOf(IServiceProvider provider)
    {
        var options = provider.GetRequiredService<SessionsOptions>();
        var folder = provider.GetRequiredService<ClusterOwnership>().Folder;
        var isKept = options.State is not null || folder is not null;
        return new ResponseDirectory(
            options, isKept ? options.PlaceIn(folder ?? "") : null,
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ResponseDirectory>>());
    }

    static WhatIf WhatIfOf(IServiceProvider provider, CoordinatorOptions options) => ActivatorUtilities.CreateInstance<WhatIf>(
        provider, (string mix) => ModelFootprints.OfMix(provider.GetRequiredService<OpenedModel>().Weights.Files, mix, options.Engine.KvType));

    static OpenedModel ModelOf(IServiceProvider provider) => provider.GetRequiredService<OpenedModel>();

    static void Map(WebApplication app, CoordinatorOptions options)
    {
        app.UseWhen(
            http => http.Listener() == ListenerKind.Api,
            api => api.Use(app.Services.GetRequiredService<ApiConnections>().AnswerAsync).UseOpenAiApi(Listeners.IsOwnMachineOnly(options.Listen)));
        app.UseSeparateListeners();
        app.UseClusterRpcRules();
        app.Services.GetRequiredService<MemberMetrics>();   // observe from their creation on
        app.Services.GetRequiredService<ClusterMetrics>();
        app.MapMetrics().OnListeners(ListenerKind.Api | ListenerKind.Metrics).WithMetadata(new NeededScope(ApiScopes.Metrics));
        var rpc = app.MapGroup("").OnListeners(ListenerKind.Rpc);
        rpc.MapCluster(options);
        rpc.MapReplicas(options);
        app.MapGroup("").OnListeners(ListenerKind.Api).MapOpenAiApi().MapClusterObserving().MapAdapterChanges();
        app.Lifetime.ApplicationStopping.Register(app.Services.GetRequiredService<Readiness>().Close);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Serving {Model} ({Digest}), {ContextLength} tokens of context")]
    static partial void LogServing(ILogger logger, string model, string digest, int contextLength);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Sessions end with this process, and the next start is another cluster: {Problem}")]
    static partial void LogNothingKept(ILogger logger, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The next start is another replica to the other coordinators, unless this one gets a --name: {Problem}")]
    static partial void LogNoName(ILogger logger, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Chat is refused, completions work: the model's chat template cannot be read: {Problem}")]
    static partial void LogTemplate(ILogger logger, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Hint}")]
    static partial void LogFewBits(ILogger logger, string hint);
}
