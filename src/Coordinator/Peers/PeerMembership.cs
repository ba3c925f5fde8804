using Google.Protobuf;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Sessions;
using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Storage;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Peers;

/// <summary>What this coordinator is among the others. Safe for concurrent use.</summary>
public sealed class PeerState
{
    long _epoch;
    volatile string? _failure;

    /// <summary>Of this coordinator as the owner of its replica; 0 before it has joined.</summary>
    public ulong Epoch
    {
        get => (ulong)Interlocked.Read(ref _epoch);
        internal set => Interlocked.Exchange(ref _epoch, (long)value);
    }

    /// <summary>Why this coordinator ends, in one line; null: it does not, or was told to.</summary>
    public string? Failure
    {
        get => _failure;
        internal set => _failure = value;
    }
}

/// <summary>Where others reach this coordinator, once it listens.</summary>
/// <param name="Grpc">Other coordinators.</param>
/// <param name="Api">Clients.</param>
sealed record PeerAddresses(Func<CancellationToken, Task<Uri>> Grpc, Func<CancellationToken, Task<Uri>> Api);

/// <summary>
/// Makes this coordinator one of several: joins the cluster under its replica's name, which gives its epoch, and follows who else is there. While the store
/// cannot be reached everything goes on as it is; a coordinator that has never reached it serves with its own replica alone. A coordinator that has been
/// replaced, or that the others took for dead, ends: whoever started it starts it anew.
/// </summary>
sealed partial class PeerMembership(
    ClusterDirectory cluster, PeerState state, PeerKeys keys, PeerAddresses addresses, OwnReplica own, OtherReplicas others, KnownPrefixes prefixes,
    SequenceRules rules, ClusterOwnership kept, SettledOwnership ownership, ModelIdentity model, PeerChannels channels, Pulse pulse,
    IHostApplicationLifetime lifetime, TimeProvider time, ILogger<PeerMembership> logger) : BackgroundService
{
    static readonly TimeSpan ListEvery = TimeSpan.FromSeconds(1);
    static readonly TimeSpan JoinEvery = TimeSpan.FromMilliseconds(300);
    static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(250);

    /// <summary>The owner of a replica that was killed or frozen is known to be dead by then.</summary>
    static readonly TimeSpan OwnerPatience = TimeSpan.FromSeconds(15);

    static readonly TimeSpan LeaveDeadline = TimeSpan.FromSeconds(2);

    readonly Guid _instance = Guid.NewGuid();
    bool _failing;

    protected override async Task ExecuteAsync(CancellationToken stopping)
    {
        try
        {
            using var ends = CancellationTokenSource.CreateLinkedTokenSource(stopping);
            Task[] parts = [FollowAsync(ends.Token), WatchOwnAsync(ends.Token), EndIfEvictedAsync(ends.Token)];
            await await Task.WhenAny(parts);
            await ends.CancelAsync();
            await Task.WhenAll(parts).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            await LeaveAsync();
        }
    }

    /// <summary>Joins, and takes over every second who is there.</summary>
    async Task FollowAsync(CancellationToken stopping)
    {
        await StartedAsync(stopping);
        var claim = new ReplicaClaim(
            own.Name, _instance, (await addresses.Grpc(stopping)).GetLeftPart(UriPartial.Authority),
            (await addresses.Api(stopping)).GetLeftPart(UriPartial.Authority), "", model.Name, model.Digest);
        if (await JoinAsync(claim, stopping) is not { } joined) return;
        using var timer = new PeriodicTimer(ListEvery, time);
        do
        {
            if (await ReachAsync(cluster.ListAsync, stopping) is not { } owners) continue;
            var owner = Array.Find(owners, owner => owner.Claim.Replica == own.Name);
            if (owner?.Epoch > state.Epoch)
            {
                Fail($"replica {own.Name} belongs to the coordinator at {owner.Claim.Address} since its epoch {owner.Epoch}, this one's is {state.Epoch}; "
                    + "if both are to serve, give each a --name of its own");
                return;
            }
            if (owner is null) await JoinAsync(claim, stopping);   // the store has lost what it had
            var secret = PeerKey.Read("secret", ByteString.CopyFrom(joined.Secret));
            var settings = new PeerSettings(channels, secret, model, rules.VocabularySize, prefixes, pulse, time);
            await others.UpdateAsync([.. owners.Where(other => other.Claim.Replica != own.Name && other.Claim.Digest == model.Digest)], settings, BuryAsync);
        }
        while (await timer.WaitForNextTickAsync(stopping));
    }

    /// <returns>Null if the replica belongs to another coordinator that is alive.</returns>
    async Task<JoinReply?> JoinAsync(ReplicaClaim claim, CancellationToken stopping)
    {
        for (long? foundOwner = null; ; await Task.Delay(JoinEvery, time, stopping))
        {
            var reply = await ReachAsync(token => cluster.JoinAsync(claim, token), stopping);
            if (reply is null)
            {
                // Workers are not to wait for a store that is not there. To them this is a cluster of its own until the next start.
                if (!ownership.IsSettled) ownership.Settle(kept);
                continue;
            }
            if (reply.Secret.Length > 0)
            {
                state.Epoch = reply.Owner.Epoch;
                keys.Join(PeerKey.Read("secret", ByteString.CopyFrom(reply.Secret)));
                if (!ownership.IsSettled) ownership.Settle(new ClusterOwnership(reply.ClusterId, reply.Owner.Epoch));
                LogJoined(own.Name, reply.Owner.Epoch, claim.Address);
                return reply;
            }
            foundOwner ??= time.GetTimestamp();
            if (await TryBuryAsync(reply.Owner, stopping) || time.GetElapsedTime(foundOwner.Value) < OwnerPatience) continue;
            Fail($"replica {own.Name} belongs to the coordinator at {reply.Owner.Claim.Address}, which is alive: "
                + "stop that one, or give this one another --name");
            return null;
        }
    }

    /// <summary>Has this replica's sequences go on elsewhere while it cannot serve and another one can.</summary>
    async Task WatchOwnAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(LookEvery, time);
        var (readyAt, view) = (time.GetTimestamp(), 0UL);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            var status = own.Status;
            if (status.Ready) readyAt = time.GetTimestamp();
            if (status.ViewVersion != view) prefixes.Forget(own.Name);   // another view begins with an empty cache
            view = status.ViewVersion;
            own.SetLost(!status.Ready && time.GetElapsedTime(readyAt) >= RemoteReplica.Unready && others.All.Any(other => other.Status.Ready));
        }
    }

    async Task EndIfEvictedAsync(CancellationToken stopping)
    {
        await cluster.Evicted.WaitAsync(stopping);
        Fail("the other coordinators took this one for dead: it was frozen or cut off for too long, and its sessions go on elsewhere. It ends; start it anew");
    }

    /// <summary>A coordinator that refuses connections is dead, and its sessions need not wait until its silence is noticed.</summary>
    async Task BuryAsync(ReplicaOwner owner, CancellationToken cancellation) => await TryBuryAsync(owner, cancellation);

    async Task<bool> TryBuryAsync(ReplicaOwner owner, CancellationToken cancellation)
    {
        try
        {
            return await cluster.BuryAsync(owner, cancellation);
        }
        catch (Exception e) when (e is StateStoreException or OperationCanceledException)
        {
            return false;
        }
    }

    async Task LeaveAsync()
    {
        if (state.Epoch == 0) return;
        using var deadline = new CancellationTokenSource(LeaveDeadline, time);
        await cluster.LeaveAsync(own.Name, state.Epoch, deadline.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await others.DisposeAsync();
    }

    /// <returns>Null if the store cannot be reached, which is logged once.</returns>
    async Task<T?> ReachAsync<T>(Func<CancellationToken, Task<T>> call, CancellationToken stopping) where T : class
    {
        try
        {
            var result = await call(stopping);
            if (_failing) LogReached();
            _failing = false;
            return result;
        }
        catch (StateStoreException problem)
        {
            if (!_failing) LogUnreachable(problem.Message);
            _failing = true;
            return null;
        }
    }

    async Task StartedAsync(CancellationToken stopping)
    {
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = lifetime.ApplicationStarted.Register(started.SetResult);
        await started.Task.WaitAsync(stopping);
    }

    void Fail(string why)
    {
        state.Failure = why;
        LogEnds(why);
        lifetime.StopApplication();
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Joined the cluster as replica {Replica}, epoch {Epoch}; other coordinators reach it at {Address}")]
    partial void LogJoined(string replica, ulong epoch, string address);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Other coordinators cannot be found, requests are served here: {Problem}")]
    partial void LogUnreachable(string problem);

    [LoggerMessage(Level = LogLevel.Information, Message = "Other coordinators can be found again")]
    partial void LogReached();

    [LoggerMessage(Level = LogLevel.Critical, Message = "This coordinator ends: {Reason}")]
    partial void LogEnds(string reason);
}
