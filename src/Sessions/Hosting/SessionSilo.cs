using System.Net;
using System.Net.Sockets;
using LlamaCluster.Primitives;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;
using Orleans.Runtime.Hosting;
using Orleans.Storage;
using StackExchange.Redis;

namespace LlamaCluster.Sessions.Hosting;

/// <summary>What a silo is to be like.</summary>
/// <param name="Address">Where silos of other machines reach it.</param>
/// <param name="Tls">Null: silos trust the network between them.</param>
/// <param name="Dashboard">Port of this machine where Orleans' dashboard is; null: nowhere.</param>
/// <param name="OnFailed">Called when the silo cannot go on.</param>
sealed record SiloSettings(StatePlace Place, IPAddress Address, SiloTls? Tls, int? Dashboard, Action OnFailed);

/// <summary>
/// The Orleans silo that runs the grains of sessions, in this process. With a SQLite file it is alone: it opens no port, and nobody can call its grains
/// from outside. With Redis it is one of a cluster of silos that call each other.
/// </summary>
sealed class SessionSilo : IAsyncDisposable
{
    const string ServiceId = "llamacluster";

    /// <summary>For calls of grains that do not wait for anything but a store.</summary>
    static readonly TimeSpan ResponseTimeout = TimeSpan.FromSeconds(15);

    static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(5);

    readonly IHost _host;
    readonly SiloFaults _faults;

    SessionSilo(IHost host, SiloFaults faults) => (_host, _faults) = (host, faults);

    public IGrainFactory Grains => _host.Services.GetRequiredService<IGrainFactory>();

    /// <summary>Which silos are alive.</summary>
    public IClusterMembershipService Members => _host.Services.GetRequiredService<IClusterMembershipService>();

    /// <summary>Names this silo among all that were ever started.</summary>
    public string Name => _host.Services.GetRequiredService<ILocalSiloDetails>().SiloAddress.ToParsableString();

    /// <summary>Where Orleans' dashboard is; null: nowhere.</summary>
    public Uri? DashboardAddress => _host is WebApplication app ? SiloDashboard.AddressOf(app) : null;

    public ISessionCatalog Catalog => _host.Services.GetRequiredService<ISessionCatalog>();

    /// <summary>It has been declared dead by the others, or cannot go on: another one is to be started in its place.</summary>
    public bool HasFailed => _faults.HasFailed;

    /// <exception cref="StateStoreException">Its store cannot be used.</exception>
    public static async Task<SessionSilo> StartAsync(SiloSettings settings, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellation)
    {
        IHostApplicationBuilder builder = settings.Dashboard is null
            ? Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings())
            : WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        var (place, faults) = (settings.Place, new SiloFaults(settings.OnFailed));
        builder.Services.AddSingleton(loggers).AddSingleton<IHostLifetime, NoLifetime>();
        builder.UseOrleans(silo =>
        {
            silo.Services
                .AddSingleton<IFatalErrorHandler>(faults)
                .AddSingleton(new SessionRules(time))
                .AddSingleton<LeaseHolders>()
                .Configure<SiloMessagingOptions>(options => options.ResponseTimeout = ResponseTimeout)
                .Configure<GrainCollectionOptions>(options => options.CollectionAge = TimeSpan.FromMinutes(2));   // a long session is a megabyte
        });
        IHost? host = null;
        try
        {
            await (place switch
            {
                StatePlace.File file => UseFileAsync(builder, file),
                StatePlace.Redis redis => UseRedisAsync(builder, redis, settings),
                _ => throw new InvalidOperationException($"no store is known for {place}"),
            });
            host = settings.Dashboard is { } port ? SiloDashboard.Build((WebApplicationBuilder)builder, port) : ((HostApplicationBuilder)builder).Build();
            if (place is StatePlace.Redis) await KilledSilos.BuryAsync(host.Services.GetRequiredService<IMembershipTable>(), cancellation);
            await host.StartAsync(cancellation);
            return new SessionSilo(host, faults);
        }
        catch (Exception e)
        {
            host?.Dispose();
            throw e switch
            {
                RedisException => Unreachable(place, e),
                IOException { InnerException: AddressInUseException } =>
                    new StateStoreException($"--orleans-dashboard: port {settings.Dashboard} is in use; give another one", e),
                _ => e,
            };
        }
    }

    /// <summary>
    /// A silo that cannot reach Redis any more would try for minutes to say that it leaves. All that counts is stored, so nobody waits for that.
    /// </summary>
    public async ValueTask DisposeAsync()
        => await StopAsync().WaitAsync(StopTimeout, TimeProvider.System).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    async Task StopAsync()
    {
        using var deadline = new CancellationTokenSource(StopTimeout);
        await _host.StopAsync(deadline.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await ((IAsyncDisposable)_host).DisposeAsync();
    }

    static async Task UseFileAsync(IHostApplicationBuilder builder, StatePlace.File place)
    {
        var file = await Task.Run(() => SqliteStateFile.Open(place.Path));
        var serializer = new StateSerializer();
        builder.Services
            .AddSingleton(_ => file)   // so that the host closes it
            .AddSingleton<ISessionCatalog>(provider => new SqliteSessionCatalog(provider.GetRequiredService<SqliteStateFile>()))
            .AddGrainStorage(SessionRules.Store, (provider, _) => new SqliteGrainStorage(provider.GetRequiredService<SqliteStateFile>(), serializer));
        builder.UseOrleans(silo =>
        {
            silo.UseLocalhostClustering(gatewayPort: 0, serviceId: ServiceId, clusterId: ServiceId);
            // The port is only a name here. Two silos with the ports of each other would both listen, and anybody on this machine could call grains.
            var listeners = silo.Services.Where(service => service.IsKeyedService && service.ServiceType == typeof(IConnectionListenerFactory)).ToList();
            foreach (var listening in listeners)
            {
                silo.Services.Remove(listening);
                silo.Services.AddKeyedSingleton<IConnectionListenerFactory>(listening.ServiceKey, new NoListener());
            }
        });
    }

    static async Task UseRedisAsync(IHostApplicationBuilder builder, StatePlace.Redis place, SiloSettings settings)
    {
        var connection = await ConnectionMultiplexer.ConnectAsync(place.Options);   // says at once if there is no Redis
        builder.Services
            .AddSingleton<ISessionCatalog>(_ => new RedisSessionCatalog(connection))
            .AddSingleton<ITurnLeases>(new RedisTurnLeases(connection));
        builder.UseOrleans(silo => silo
            .UseRedisClustering(options => options.ConfigurationOptions = place.Options)
            .AddRedisGrainStorage(SessionRules.Store, options =>
            {
                options.ConfigurationOptions = place.Options;
                options.GrainStorageSerializer = new StateSerializer();
                options.DeleteStateOnClear = true;
            })
            .Configure<ClusterOptions>(options => (options.ServiceId, options.ClusterId) = (ServiceId, ServiceId))
            .Configure<EndpointOptions>(options =>
                (options.AdvertisedIPAddress, options.SiloPort, options.GatewayPort) = (settings.Address, FreePort(settings.Address), 0))
            // A silo that was killed is out of the cluster within seconds, also when nobody is left to notice: then its own sign of life is too old.
            // The coordinators notice it sooner by their connections, and say so; probes are for frozen machines and cut cables.
            .Configure<ClusterMembershipOptions>(options =>
            {
                options.ProbeTimeout = TimeSpan.FromSeconds(0.7);
                options.NumMissedProbesLimit = 3;
                options.TableRefreshTimeout = TimeSpan.FromSeconds(5);
                options.NumVotesForDeathDeclaration = 1;
                options.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(2);
                options.NumMissedTableIAmAliveLimit = 2;
                options.MaxJoinAttemptTime = TimeSpan.FromSeconds(30);
                options.DefunctSiloExpiration = TimeSpan.FromHours(1);
            }));
        if (settings.Tls is { } tls) builder.UseOrleans(silo => silo.UseTls(tls.Apply));
        // The directory would not let a grain of a dead silo live elsewhere for half a minute, in case that its silo is not dead. Leases of turns and
        // ETags take care of that here.
        builder.Services.Configure<GrainDirectoryOptions>(options => options.RangeLeaseDuration = TimeSpan.Zero);
#pragma warning disable ORLEANSEXP003 // the eventually consistent directory would let two activations of a session live for longer
        builder.UseOrleans(silo => silo.AddDistributedGrainDirectory());
#pragma warning restore ORLEANSEXP003
    }

    /// <summary>A port that nobody listens on. Orleans shares its ports, so a second listener would not be noticed.</summary>
    static int FreePort(IPAddress address)
    {
        using var free = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        free.Bind(new IPEndPoint(address, 0));
        return ((IPEndPoint)free.LocalEndPoint!).Port;
    }

    static StateStoreException Unreachable(StatePlace place, Exception why) =>
        new($"sessions need {place}, which cannot be used: {ErrorText.Sentence(why.Message)}", why);
}

/// <summary>The process is the coordinator's, not the silo's: it says nothing and listens to no signals.</summary>
sealed class NoLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}

/// <summary>Orleans would end the process when a silo cannot go on, and with it all streams that have no session.</summary>
sealed class SiloFaults(Action onFailed) : IFatalErrorHandler
{
    volatile bool _failed;

    public bool HasFailed => _failed;

    public bool IsUnexpected(Exception exception) => exception is not ThreadAbortException;

    public void OnFatalException(object? sender, string? context, Exception? exception)
    {
        _failed = true;
        onFailed();
    }
}
