using System.Diagnostics.Metrics;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Planning.Plans;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace LlamaCluster.Coordinator;

/// <summary>
/// A coordinator process: the HTTP API on one address, the workers' services on another. It stops on SIGTERM and SIGINT: what runs gets a
/// moment to finish, then connections are closed.
/// </summary>
public sealed partial class CoordinatorHost : IAsyncDisposable
{
    /// <summary>Beyond the time that running sequences get: for closing connections.</summary>
    static readonly TimeSpan ClosingTime = TimeSpan.FromSeconds(3);

    readonly WebApplication _app;
    readonly Listeners _listeners;
    readonly OpenedModel _model;

    CoordinatorHost(WebApplication app, Listeners listeners, OpenedModel model) => (_app, _listeners, _model) = (app, listeners, model);

    /// <summary>Where clients reach the API, with the port that was taken. Known once it is started.</summary>
    public Uri ApiAddress => _listeners.ApiAddress;

    /// <summary>Where workers reach the coordinator. Known once it is started.</summary>
    public Uri GrpcAddress => _listeners.RpcAddress;

    /// <summary>Who has registered.</summary>
    public WorkerRegistry Members => _app.Services.GetRequiredService<WorkerRegistry>();

    public ModelIdentity Model => _model.Identity;

    internal IServiceProvider Services => _app.Services;

    public IGenerationEngine Engine => _app.Services.GetRequiredService<IGenerationEngine>();

    /// <summary>The scope of this coordinator's meters, by which a listener tells them from another one's in the same process.</summary>
    public IMeterFactory Meters => _app.Services.GetRequiredService<IMeterFactory>();

    /// <summary>How far the cluster is, and news of it: who loads what, when it is ready, what went wrong.</summary>
    public Latest<ClusterStatus> Status => _app.Services.GetRequiredService<Latest<ClusterStatus>>();

    /// <summary>Opens the model and prepares everything; nothing listens yet.</summary>
    /// <exception cref="InvalidOptionsException">An option is out of range.</exception>
    /// <exception cref="ModelFormatException">The model cannot be opened.</exception>
    /// <exception cref="IOException">A certificate cannot be used.</exception>
    public static CoordinatorHost Create(CoordinatorOptions options) => Create(options, TimeProvider.System);

    /// <param name="change">Puts other services in the place of the usual ones.</param>
    internal static CoordinatorHost Create(CoordinatorOptions options, TimeProvider time, Action<IServiceCollection>? change = null)
    {
        CoordinatorOptionsRules.Check(options);
        var model = OpenedModel.Open(options);
        ClusterTls? tls = null;
        try
        {
            tls = options.Tls is null ? null : ClusterTls.Load(options.Tls);
            return Create(options, tls, model, ModelWords.Open(options.ModelPath, model.Identity, model.ContextLength), time, change);
        }
        catch
        {
            model.Dispose();
            tls?.Dispose();
            throw;
        }
    }

    static CoordinatorHost Create(CoordinatorOptions options, ClusterTls? tls, OpenedModel model, ModelWords words, TimeProvider time, Action<IServiceCollection>? change)
    {
        var listeners = new Listeners(options, tls);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.UseOneLineConsole();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.Deadlines.Shutdown + ClosingTime);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(listeners.Configure);
        AddServices(builder.Services, options, model, time);
        if (tls is not null) builder.Services.AddSingleton(_ => tls);
        builder.Services.AddOpenAiApi(words.Served);
        change?.Invoke(builder.Services);
        var app = builder.Build();
        Map(app);
        LogServing(app.Logger, model.Identity.Name, model.Identity.Digest, model.ContextLength);
        if (words.TemplateProblem is { } problem) LogTemplate(app.Logger, problem);
        return new CoordinatorHost(app, listeners, model);
    }

    /// <summary>Starts to listen, and to wait for workers.</summary>
    /// <exception cref="IOException">An address cannot be listened on.</exception>
    public Task StartAsync(CancellationToken cancellation = default) => _app.StartAsync(cancellation);

    /// <summary>Starts and works until it is told to stop, by a signal or by the token.</summary>
    public Task RunAsync(CancellationToken cancellation = default) => _app.RunAsync(cancellation);

    /// <summary>Lets what runs finish, for a moment, and closes all connections.</summary>
    public Task StopAsync(CancellationToken cancellation = default) => _app.StopAsync(cancellation);

    /// <summary>Completes when it has been told to stop, and has.</summary>
    public Task WaitForShutdownAsync(CancellationToken cancellation = default) => _app.WaitForShutdownAsync(cancellation);

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
        _model.Dispose();
    }

    static void AddServices(IServiceCollection services, CoordinatorOptions options, OpenedModel model, TimeProvider time)
    {
        services.AddRouting().AddMetrics().AddClusterRpc()
            .AddSingleton(time)
            .AddSingleton(options.Engine)
            .AddSingleton(options.Deadlines)
            .AddSingleton(model.Identity)
            .AddSingleton(model.Weights)
            .AddSingleton(model.ToSupervisorOptions(options))
            .AddSingleton(new SequenceRules(model.VocabularySize, model.ContextLength))
            .AddSingleton(new Latest<ClusterStatus>(ClusterStatus.Starting))
            .AddSingleton<Readiness>()
            .AddSingleton<PeerChannels>()
            .AddSingleton<CoordinatorMetrics>()
            .AddSingleton<WorkerRegistry>()
            .AddSingleton<LinkMeter>()
            .AddSingleton<MemberMetrics>()
            .AddSingleton<AssignmentCaller>()
            .AddSingleton<IViewStages, ViewStages>()
            .AddSingleton(provider => ActivatorUtilities.CreateInstance<Replica>(provider, "replica-0"))
            .AddSingleton<IGenerationEngine, ReplicaRouter>()
            .AddHostedService<ReplicaService>()
            .AddHostedService<ClusterSupervisor>();
    }

    static void Map(WebApplication app)
    {
        Listeners.Separate(app);
        app.Services.GetRequiredService<MemberMetrics>();   // observes from now on
        var rpc = app.MapGroup("").WithMetadata(new ListenerMetadata(ListenerKind.Rpc));
        rpc.MapGrpcService<MembershipService>();
        rpc.MapGrpcService<WeightsService>();
        rpc.MapGrpcService<HealthService>();
        app.MapGroup("").WithMetadata(new ListenerMetadata(ListenerKind.Api)).MapOpenAiApi();
        app.Lifetime.ApplicationStopping.Register(app.Services.GetRequiredService<Readiness>().Close);
    }
}
