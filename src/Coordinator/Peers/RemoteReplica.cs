using Grpc.Core;
using Grpc.Net.Client;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using LlamaCluster.Sessions.Grains;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Peers;

/// <summary>What all remote replicas share.</summary>
/// <param name="Secret">What the coordinators of the cluster know each other by.</param>
/// <param name="VocabularySize">V: ids are below it.</param>
sealed record PeerSettings(
    PeerChannels Channels, PeerKey Secret, ModelIdentity Model, int VocabularySize, KnownPrefixes Prefixes, Pulse Pulse, TimeProvider Time);

/// <summary>
/// Another coordinator's replica. It is watched over a stream of its own: when that breaks, is silent for too long, or says for too long that the replica
/// cannot serve, the replica's sequences go on elsewhere. Safe for concurrent use.
/// </summary>
sealed partial class RemoteReplica : IReplica, IAsyncDisposable
{
    /// <summary>A coordinator that has said nothing for so long is frozen or cut off. It speaks every half second.</summary>
    public static readonly TimeSpan Silence = TimeSpan.FromSeconds(2);

    /// <summary>A replica that cannot serve for so long does without its sequences. Spares take over sooner.</summary>
    public static readonly TimeSpan Unready = TimeSpan.FromSeconds(2);

    static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(250);

    readonly PeerSettings _settings;
    readonly GrpcChannel _channel;
    readonly Wire.Replicas.ReplicasClient _client;
    readonly Metadata _headers;
    readonly ILogger _logger;
    readonly LossToken _lost = new();
    readonly CancellationTokenSource _ending = new();
    readonly Task _watching;
    volatile ReplicaReport? _report;   // null while nothing is heard
    int _startedSince;                 // sequences that were sent there since the last report
    long _unreadySince;

    /// <param name="onGone">Called when nobody listens any more where the coordinator did.</param>
    public RemoteReplica(ReplicaOwner owner, PeerSettings settings, Func<ReplicaOwner, CancellationToken, Task> onGone, ILogger logger)
    {
        (Owner, _settings, _logger) = (owner, settings, logger);
        _channel = settings.Channels.Open(new Uri(owner.Claim.Address));
        _client = new Wire.Replicas.ReplicasClient(_channel);
        _headers = settings.Secret.For(PeerKeys.PurposeOf(owner.Claim.Replica)).ToHeaders();
        _watching = Task.Run(() => WatchAsync(onGone, _ending.Token));
    }

    public ReplicaOwner Owner { get; }

    public string Name => Owner.Claim.Replica;

    public CancellationToken Lost => _lost.Token;

    public EngineStatus Status => _report is not { } report
        ? new EngineStatus(false, $"the coordinator of replica {Name} at {Owner.Claim.Address} does not answer", 0)
        : new EngineStatus(report.State == ReplicaReport.Types.State.Ready, report.Reason, report.ViewVersion)
        {
            IsRecovering = report.State == ReplicaReport.Types.State.Recovering,
            MaxPositions = report.MaxPositions == 0 ? null : (int)report.MaxPositions,
        };

    public ReplicaUse Use => _report is not { } report ? default : new ReplicaUse(
        (int)report.Running, (int)report.Waiting + Volatile.Read(ref _startedSince), (int)report.MaxRunning, (int)report.KvBlocks, (int)report.KvBlocksFree);

    public ReplicaSummary Summary => new(
        Name, Owner.Epoch, Owner.Claim.Address, Owner.Claim.ApiAddress, IsOwn: false,
        _report is null ? ReplicaSummary.Unreachable : ReplicaSummary.StateOf(Status), Status.Reason, Status.ViewVersion,
        Use.Running, Use.Waiting, Use.Blocks, Use.FreeBlocks);

    public IReadOnlyList<IAsyncEnumerable<SequenceEvent>> Run(IReadOnlyList<SequenceRequest> requests, RoutedPrompt prompt)
    {
        Interlocked.Add(ref _startedSince, requests.Count);
        var run = new RemoteRun(Name, requests.Count, requests.Max(request => request.Adapter?.OwnVocabulary ?? _settings.VocabularySize));
        _ = run.RunAsync(_client, _headers, SequenceMessages.Of(requests, Name, _settings.Model.Digest));   // ends with its readers, or with the connection
        return [.. Enumerable.Range(0, requests.Count).Select(sequence => run.ReadAsync(sequence, CancellationToken.None))];
    }

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await _watching;
        _lost.Dispose();
        _channel.Dispose();
        _ending.Dispose();
    }

    async Task WatchAsync(Func<ReplicaOwner, CancellationToken, Task> onGone, CancellationToken ending)
    {
        while (!ending.IsCancellationRequested)
        {
            var problem = await WatchOnceAsync(ending);
            if (ending.IsCancellationRequested) return;
            if (_report is not null) LogLost(Name, Owner.Claim.Address, RpcProblem.Describe(problem));
            _report = null;
            _lost.Set(true);
            if (problem is RpcException { StatusCode: StatusCode.Unavailable }) await onGone(Owner, ending);
            await Task.Delay(Retry, _settings.Time, ending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <returns>Why it ended.</returns>
    async Task<Exception> WatchOnceAsync(CancellationToken ending)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(ending);
        try
        {
            using var call = _client.Watch(new WatchRequest(), _headers, cancellationToken: over.Token);
            while (await NextAsync(call.ResponseStream, over.Token)) Take(call.ResponseStream.Current);
            return new RpcException(new Status(StatusCode.Unavailable, "it ended the stream"));
        }
        catch (Exception e) when (e is RpcException or IOException or OperationCanceledException or TimeoutException or HttpRequestException)
        {
            return e;
        }
        finally
        {
            await over.CancelAsync();
        }
    }

    /// <exception cref="TimeoutException">Nothing was said for too long, and this process was awake to hear it.</exception>
    async Task<bool> NextAsync(IAsyncStreamReader<ReplicaReport> reports, CancellationToken cancellation)
    {
        var (since, next) = (_settings.Time.GetTimestamp(), reports.MoveNext(cancellation));
        while (true)
        {
            var left = _settings.Pulse.Left(Silence, since);
            if (left <= TimeSpan.Zero) throw new TimeoutException($"nothing was heard of it for {Silence.TotalSeconds:0.#} s");
            await Task.WhenAny(next, Task.Delay(left, _settings.Time, cancellation));
            if (next.IsCompleted) return await next;
        }
    }

    void Take(ReplicaReport report)
    {
        if (report.ModelDigest != _settings.Model.Digest || report.Name != Name)
            throw new RpcException(new Status(StatusCode.FailedPrecondition, $"it says that it is replica {report.Name} of model {report.ModelDigest}"));
        var before = _report;
        if (before is null) LogFound(Name, Owner.Claim.Address);
        if (before?.ViewVersion != report.ViewVersion) _settings.Prefixes.Forget(Name);   // another view begins with an empty cache
        _settings.Prefixes.Note(Name, [.. report.Prefixes]);
        Volatile.Write(ref _startedSince, 0);
        _report = report;
        var now = _settings.Time.GetTimestamp();
        if (report.State == ReplicaReport.Types.State.Ready || before is null || before.State == ReplicaReport.Types.State.Ready) _unreadySince = now;
        _lost.Set(report.State != ReplicaReport.Types.State.Ready && _settings.Time.GetElapsedTime(_unreadySince, now) >= Unready);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Replica {Replica} at {Address} is reached: requests can go there")]
    partial void LogFound(string replica, string address);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Replica {Replica} at {Address} is lost: {Problem}. Its sequences go on elsewhere")]
    partial void LogLost(string replica, string address, string problem);
}
