using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Drafts;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Observing;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Primitives;
using LlamaCluster.Sessions;
using LlamaCluster.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>
/// The cluster of a draft model, within the coordinator that it drafts for: an address of its own for its worker, and the same supervision that the served
/// model has. Whatever happens to it, the coordinator goes on; there are no drafts of it meanwhile.
/// </summary>
sealed partial class DraftHost : IHostedService, IDraftOverview, IAsyncDisposable
{
    /// <summary>For closing connections.</summary>
    static readonly TimeSpan ClosingTime = TimeSpan.FromSeconds(3);

    readonly WebApplication _app;
    readonly ListenAddress _wanted;
    readonly DraftModel _model;
    readonly ILogger _logger;
    readonly CancellationTokenSource _stopping = new();
    Uri? _address;
    Task _watching = Task.CompletedTask;

    DraftHost(WebApplication app, ListenAddress wanted, DraftModel model, ILogger logger) => (_app, _wanted, _model, _logger) = (app, wanted, model, logger);

    public IDraftModel Drafts => _model;

    /// <summary>Where its worker registers, with the port that was taken.</summary>
    public Uri GrpcAddress => _address ?? throw new InvalidOperationException("the draft model's host has not been started");

    /// <summary>Bytes of its weights.</summary>
    public long WeightBytes => _app.Services.GetRequiredService<OpenedModel>().Served.Size.Bytes;

    public Latest<ClusterStatus> Status => _app.Services.GetRequiredService<Latest<ClusterStatus>>();

    public WorkerRegistry Members => _app.Services.GetRequiredService<WorkerRegistry>();

    public DraftFacts Facts
    {
        get
        {
            var (status, workers) = (Status.Value, Members.Snapshot.Usable.Select(member => member.Name));
            return new DraftFacts(NameOf(_app), status.IsReady, status.IsReady ? "" : status.Reason, [.. workers]);
        }
    }

    /// <summary>Opens the draft model and prepares everything. Nothing listens yet.</summary>
    /// <param name="served">The model that it is to draft for.</param>
    /// <exception cref="InvalidOptionsException">Its tokens are others than those of the served model.</exception>
    /// <exception cref="ModelFormatException">It cannot be opened.</exception>
    public static DraftHost Create(CoordinatorOptions options, DraftOptions draft, OpenedModel served, TimeProvider time, ILogger<DraftHost> logger)
    {
        var own = OptionsFor(options, draft, served.ContextLength);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(time).Configure<HostOptions>(host => host.ShutdownTimeout = ClosingTime);
        builder.Logging.UseOneLineConsole(options.LogFormat, "coordinator draft model").SetMinimumLevel(LogLevel.Error);   // what else matters is said here
        var address = ListenAddress.Parse(own.GrpcListen);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.UseClusterRpcLimits();
            ConnectionLimits.OfCoordinator.ApplyTo(kestrel.Limits);
            kestrel.Listen(address.EndPoint, listen => listen.IsFor(ListenerKind.Rpc).UseClusterRpc(kestrel.ApplicationServices.GetService<ClusterTls>()));
        });
        builder.Services.AddCluster(own)
            .AddSingleton(ClusterOwnership.Take(null))
            .AddSingleton(provider => SettledOwnership.Now(provider.GetRequiredService<WorkerRegistry>(), provider.GetRequiredService<ClusterOwnership>()))
            .AddSingleton<ICallerKeys>(provider => provider.GetRequiredService<RegisteredWorkers>())
            .AddSingleton(provider => new DraftModel(
                own.Engine, provider.GetRequiredService<OpenedModel>().ContextLength, time, provider.GetRequiredService<ILogger<DraftModel>>()))
            .AddSingleton<IPipelineUser>(provider => provider.GetRequiredService<DraftModel>())
            .AddHostedService(provider => provider.GetRequiredService<DraftModel>())
            .AddHostedService<ClusterSupervisor>()
            .AddHostedService<HashesAhead>();
        var app = builder.Build();
        try
        {
            if (VocabularyProblem(app.Services.GetRequiredService<OpenedModel>().Served.Tokenizer, served.Served.Tokenizer) is { } problem)
                throw new InvalidOptionsException($"{DraftOptions.ModelName}: {NameOf(app)} cannot draft for {served.Identity.Name}: {problem}");
            app.UseSeparateListeners();
            app.UseClusterRpcRules();
            app.MapGroup("").OnListeners(ListenerKind.Rpc).MapCluster(own);
            return new DraftHost(app, address, app.Services.GetRequiredService<DraftModel>(), logger);
        }
        catch
        {
            ((IDisposable)app).Dispose();
            throw;
        }
    }

    /// <summary>Takes the address, before the coordinator starts.</summary>
    /// <exception cref="IOException">It cannot be listened on.</exception>
    public void Open() => _app.Services.GetRequiredService<ListenSockets>().Open(_wanted);

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await _app.StartAsync(cancellationToken);
        _address = new Uri(_app.Urls.First());
        _watching = WatchAsync(_stopping.Token);
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await _watching;
        await _app.StopAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        _stopping.Dispose();
        await _app.DisposeAsync();
    }

    /// <summary>One worker, and nothing that is kept. What is computed of a sequence is as long as the served model lets it get.</summary>
    static CoordinatorOptions OptionsFor(CoordinatorOptions options, DraftOptions draft, int servedContext)
    {
        int context;
        using (var files = ModelFiles.Open(draft.ModelPath)) context = files.Config.ContextLength;
        return options with
        {
            ModelPath = draft.ModelPath,
            GrpcListen = draft.GrpcListen,
            MetricsListen = null,
            Workers = 1,
            MinWorkers = 1,
            TensorParallel = 1,
            ExpertParallel = ExpertParallel.Auto,
            ContextLength = Math.Min(context, servedContext),
            DataFolder = null,
            ReplicaName = null,
            Draft = null,
            Sessions = new SessionsOptions(),
            Api = new ApiOptions(),
            Adapters = new AdapterOptions(),
            Engine = options.Engine with { Speculate = false },
        };
    }

    /// <summary>Tokens travel between the models as ids, so each must mean the same to both.</summary>
    /// <returns>The first difference; null: there is none.</returns>
    internal static string? VocabularyProblem(ITokenizer draft, ITokenizer served)
    {
        if (draft.VocabularySize != served.VocabularySize) return $"it has {draft.VocabularySize} tokens, and the other {served.VocabularySize}";
        for (var id = 0; id < served.VocabularySize; id++)
        {
            if (draft.IsControl(id) == served.IsControl(id) && draft.BytesOf(id).Span.SequenceEqual(served.BytesOf(id).Span)) continue;
            return $"token {id} is {TextOf(draft, id)}, and {TextOf(served, id)} there";
        }
        return null;
    }

    static string TextOf(ITokenizer tokenizer, int id)
        => $"{(tokenizer.IsControl(id) ? "control token " : "")}'{ErrorText.Sentence(System.Text.Encoding.UTF8.GetString(tokenizer.BytesOf(id).Span))}'";

    static string NameOf(WebApplication app) => app.Services.GetRequiredService<OpenedModel>().Identity.Name;

    /// <summary>Says whenever there come to be drafts, or none any more.</summary>
    async Task WatchAsync(CancellationToken stopping)
    {
        try
        {
            while (true)
            {
                await Status.WaitAsync(status => status.IsReady, stopping);
                LogReady(_logger, NameOf(_app), string.Join(", ", Facts.Workers));
                var lost = await Status.WaitAsync(status => !status.IsReady, stopping);
                if (lost.Phase != ClusterPhase.Stopping) LogLost(_logger, NameOf(_app), lost.Reason);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Model} drafts, on {Worker}")]
    static partial void LogReady(ILogger logger, string model, string worker);

    [LoggerMessage(Level = LogLevel.Warning, Message = "There are no drafts of {Model} until it has a worker again: {Reason}")]
    static partial void LogLost(ILogger logger, string model, string reason);
}
