using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.Loading;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Registration;

/// <summary>
/// Keeps the worker in the cluster for as long as it lives. It registers, sends heartbeats, and starts over when the coordinator goes away or
/// has forgotten it. The worker keeps its shard meanwhile, for a limited time: a coordinator that comes back, or the next one, finds it still loaded.
/// </summary>
/// <param name="orphanTimeout">See <see cref="WorkerOptions.OrphanTimeout"/>.</param>
sealed partial class MembershipLoop(
    PeerChannels channels, Uri coordinator, TimeSpan orphanTimeout, WorkerCard card, ClusterOwner owner, ShardKeeper shards, TimeProvider time,
    ILogger<MembershipLoop> logger)
    : IDisposable
{
    readonly GrpcChannel _channel = channels.Open(coordinator);
    readonly Backoff _backoff = new(Random.Shared);
    WorkerId? _worker;

    Wire.Membership.MembershipClient Client => new(_channel);

    /// <summary>Runs until it is cancelled.</summary>
    /// <returns>Null when cancelled; else why the coordinator will never take this worker, in one line.</returns>
    public async Task<string?> RunAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
            try
            {
                var registered = await RegisterAsync(cancellation);
                await BeatAsync(registered, cancellation);
            }
            catch (RpcException e) when (e.StatusCode == StatusCode.FailedPrecondition)
            {
                if (card.OwnDigest is not null || shards.Status.HeldDigest is null)
                    return $"the coordinator at {coordinator} refused this worker: {e.Status.Detail}";
                await GiveUpModelAsync(e.Status.Detail, cancellation);
            }
            catch (Exception e) when (IsTransient(e))
            {
                if (shards.Status.HeldDigest is not null && owner.Signs.Silence >= orphanTimeout)
                    await GiveUpModelAsync($"no coordinator for {orphanTimeout.TotalSeconds:0.###} s (--orphan-timeout)", cancellation);
                await PauseAsync(RpcProblem.Describe(e), cancellation);
            }
        return null;
    }

    async Task PauseAsync(string problem, CancellationToken cancellation)
    {
        if (cancellation.IsCancellationRequested)
        {
            LogStopped();
            return;
        }
        var pause = _backoff.Next();
        LogNotRegistered(coordinator, problem, pause.TotalSeconds);
        await Task.WhenAny(Task.Delay(pause, time, cancellation));
    }

    /// <summary>Tells the coordinator that this worker leaves, and waits until no plan counts on it. Heartbeats go on meanwhile.</summary>
    public async Task DrainAsync(TimeSpan timeout)
    {
        if (_worker is not { } worker) return;
        var request = new Wire.DrainRequest { WorkerId = worker.Value, ViewVersion = shards.ViewVersion };
        try
        {
            await Client.DrainAsync(request, owner.Headers, deadline: DateTime.UtcNow + timeout);
            LogDrained();
        }
        catch (Exception e) when (IsTransient(e))
        {
            LogNotDrained(RpcProblem.Describe(e));
        }
    }

    public void Dispose() => _channel.Dispose();

    /// <summary>
    /// Whether the coordinator may do better later. Its name may not be known yet; a call may have failed (with an IOException while it was
    /// written to), been answered with nonsense, or not been answered in time.
    /// </summary>
    static bool IsTransient(Exception e) =>
        e is SocketException or RpcException or IOException or HttpRequestException
            or InvalidMessageException or TimeoutException or OperationCanceledException;

    async Task<Registered> RegisterAsync(CancellationToken cancellation)
    {
        var address = await AnnouncedAddress.OfAsync(card.Bound, coordinator, cancellation);
        var request = card.ToRequest(address, shards.Status);
        (request.Key, request.InstanceId) = (owner.Begin().ToMessage(), owner.InstanceId);
        using var call = Client.RegisterAsync(request, owner.JoinHeaders(request), DateTime.UtcNow + RpcSettings.CallDeadline, cancellation);
        var reply = await call;
        owner.CheckAnswer(request, call.GetTrailers());
        var registered = Registered.Read(reply);
        if (owner.Complete(registered.Worker, registered.ClusterId, registered.Epoch)) shards.ForgetViews();
        _worker = registered.Worker;
        LogRegistered(registered.Worker, coordinator, address);
        return registered;
    }

    /// <summary>
    /// Sends one heartbeat an interval, and one at once when the worker's state changes. Each must be answered before the timeout, or later if the coordinator
    /// is heard meanwhile: it would take a worker for lost that ends the stream.
    /// </summary>
    async Task BeatAsync(Registered registered, CancellationToken cancellation)
    {
        var signs = owner.Signs;
        using var call = Client.Heartbeat(owner.Headers, cancellationToken: cancellation);
        using var timer = new PeriodicTimer(registered.Interval, time);
        var (tick, change) = (Task.CompletedTask, Task.CompletedTask);
        try
        {
            for (ulong number = 1; ; number++)
            {
                shards.Changed.Clear();
                await call.RequestStream.WriteAsync(Beat(registered.Worker, number), cancellation);
                var answered = await signs.WaitAsync(call.ResponseStream.MoveNext(cancellation), registered.Timeout, cancellation);
                if (!answered) throw new RpcException(new Status(StatusCode.Unavailable, "it ended the heartbeat stream"));
                _backoff.Reset();
                signs.Heard();
                shards.StandBy(call.ResponseStream.Current.StandsBy);
                if (tick.IsCompleted) tick = timer.WaitForNextTickAsync(cancellation).AsTask();
                if (change.IsCompleted) change = shards.Changed.WaitAsync(cancellation);
                await await Task.WhenAny(tick, change);
            }
        }
        finally
        {
            shards.StandBy(false);
        }
    }

    Wire.HeartbeatRequest Beat(WorkerId worker, ulong number)
    {
        var status = shards.Status;
        return new Wire.HeartbeatRequest
        {
            WorkerId = worker.Value,
            ViewVersion = status.ViewVersion,
            SequenceNumber = number,
            State = status.State,
            ResidentBytes = (ulong)status.ResidentBytes,
        };
    }

    /// <summary>
    /// Gives up the model that an earlier coordinator assigned, because the present one serves another, or none has come for long. A step of the old view may
    /// still run; then the next attempt to register gives it up.
    /// </summary>
    async Task GiveUpModelAsync(string reason, CancellationToken cancellation)
    {
        try
        {
            await shards.UnloadAsync(cancellation);
            LogModelGivenUp(reason);
        }
        catch (Exception e) when (IsTransient(e))
        {
            await PauseAsync(RpcProblem.Describe(e), cancellation);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Registered as {Worker} with the coordinator at {Coordinator}; reachable at {Address}")]
    partial void LogRegistered(WorkerId worker, Uri coordinator, Uri address);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Not registered with the coordinator at {Coordinator}: {Problem}; trying again in {Seconds:0.0} s")]
    partial void LogNotRegistered(Uri coordinator, string problem, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Gave up the model it held, and registers without: {Reason}")]
    partial void LogModelGivenUp(string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Heartbeats stopped")]
    partial void LogStopped();

    [LoggerMessage(Level = LogLevel.Information, Message = "The coordinator let this worker go")]
    partial void LogDrained();

    [LoggerMessage(Level = LogLevel.Warning, Message = "Leaving although the coordinator did not let this worker go: {Problem}")]
    partial void LogNotDrained(string problem);
}

/// <summary>
/// Pauses between attempts. They double from a fifth of a second to five seconds. A random part of each, up to a fifth, is left out, so that
/// many workers do not call at once.
/// </summary>
sealed class Backoff(Random random)
{
    static readonly TimeSpan Shortest = TimeSpan.FromSeconds(0.2);
    static readonly TimeSpan Longest = TimeSpan.FromSeconds(5);

    TimeSpan _next = Shortest;

    public TimeSpan Next()
    {
        var pause = _next * (1 - random.NextDouble() / 5);
        _next = _next * 2 > Longest ? Longest : _next * 2;
        return pause;
    }

    /// <summary>To be called after a success: the next failure is a first one.</summary>
    public void Reset() => _next = Shortest;
}
