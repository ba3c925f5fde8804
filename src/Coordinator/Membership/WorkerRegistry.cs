using System.Collections.Immutable;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Membership;

/// <summary>
/// Who is in the cluster. A worker registers, and plans may include it from its first heartbeat on. It is suspected while it is silent for longer
/// than is usual for it, and no new plan includes it then. It is lost when its heartbeat stream
/// breaks, when no heartbeat comes within the timeout, when another process registers at its address, or when a part of the coordinator
/// that talks to it says so. A lost worker never comes back under its old id; it registers again. Only silence counts that this process was
/// awake to hear (<see cref="Pulse"/>). Safe for concurrent use.
/// </summary>
/// <param name="ownership">Views count on from those of earlier epochs.</param>
public sealed partial class WorkerRegistry(
    ClusterDeadlines deadlines, ClusterOwnership ownership, Pulse pulse, TimeProvider time, ILogger<WorkerRegistry> logger) : IDisposable
{
    /// <summary>Further registrations are refused, so that nobody can fill the coordinator's memory with them.</summary>
    public const int MaxMembers = 4096;

    /// <summary>How many lost members the snapshot keeps, for people to see.</summary>
    public const int MaxLost = 16;

    /// <summary>How many unreachable workers the snapshot keeps.</summary>
    public const int MaxUnreachable = 8;

    /// <summary>A worker that cannot be reached tries again every few seconds. One that has not for so long is not mentioned any more.</summary>
    public static readonly TimeSpan UnreachableFor = TimeSpan.FromSeconds(30);

    readonly Latest<MembershipSnapshot> _members = new(MembershipSnapshot.Empty with { ViewVersion = ownership.ViewsBefore });
    readonly Lock _changing = new();

    /// <summary>Of each member that is not lost.</summary>
    readonly Dictionary<WorkerId, LifeSigns> _lifeSigns = [];

    /// <summary>Set when a worker turns out to be unreachable. Null: none has been yet.</summary>
    ITimer? _forgetting;
    int _lastId;
    long _lostInAll;

    public MembershipSnapshot Snapshot => _members.Value;

    /// <summary>Views are to be above this version. To be called before the first worker registers.</summary>
    public void BeginAbove(ulong viewVersion)
        => _members.Update(snapshot => snapshot with { ViewVersion = Math.Max(snapshot.ViewVersion, viewVersion) });

    /// <summary>How many workers were ever lost; those that left are not among them.</summary>
    public long LostInAll => Interlocked.Read(ref _lostInAll);

    public Task<MembershipSnapshot> WaitAsync(Func<MembershipSnapshot, bool> condition, CancellationToken cancellation)
        => _members.WaitAsync(condition, cancellation);

    /// <summary>
    /// Adds a worker under a new id. A member with the same address is lost from then on, unless it is the same process: that one keeps its
    /// id and its part of the plan.
    /// </summary>
    /// <returns>Null if <see cref="MaxMembers"/> are registered.</returns>
    public Member? Register(Func<WorkerId, Member> describe)
    {
        lock (_changing)
        {
            var present = Snapshot.Members.Where(member => !member.IsLost).ToList();
            var member = describe(new WorkerId($"w{_lastId + 1}"));
            if (present.Find(older => older.Address == member.Address) is { InstanceId.Length: > 0 } same && same.InstanceId == member.InstanceId)
                return Resume(same, describe(same.Id));
            if (present.Count >= MaxMembers) return null;
            _lastId++;
            foreach (var older in present.Where(older => older.Address == member.Address))
                MarkLost(older.Id, $"another process registered at its address, as {member.Id}");
            _members.Update(snapshot => Reached(snapshot, member.Address) with { Members = snapshot.Members.Add(member) });
            _lifeSigns[member.Id] = new LifeSigns(deadlines, pulse, time, () => Judge(member.Id));
            LogRegistered(member.Id, member.Name, member.Address);
            return member;
        }
    }

    /// <summary>Takes note that a worker would register but cannot be called back. It is forgotten when it has not tried for some time.</summary>
    public void NoteUnreachable(string name, Uri address, string problem)
    {
        var added = new UnreachableWorker(name, address, problem, time.GetTimestamp());
        lock (_changing)
        {
            _members.Update(snapshot => snapshot with
            {
                Unreachable = [.. snapshot.Unreachable.Where(other => other.Address != address).TakeLast(MaxUnreachable - 1), added],
            });
            _forgetting ??= time.CreateTimer(_ => ForgetUnreachable(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            _forgetting.Change(UnreachableFor, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Whether this is the key of a member that is not lost.</summary>
    public bool IsKeyOf(WorkerId id, string? shownKey) => Snapshot.FindPresent(id) is { } member && member.Key.Matches(shownKey);

    /// <summary>Takes note of a heartbeat.</summary>
    /// <returns>False if the worker is unknown or lost; it has to register again.</returns>
    public bool TryBeat(WorkerId id, WorkerState reported)
    {
        lock (_changing)
        {
            if (!_lifeSigns.TryGetValue(id, out var signs)) return false;
            var suspected = signs.Beat() == Wellness.Suspected;
            Change(id, member =>
            {
                if (member.IsSuspected && !suspected) LogWellAgain(id, member.Name);
                return member.State != MemberState.Joining && member.Reported == reported && member.IsSuspected == suspected ? member : member with
                {
                    State = member.State == MemberState.Joining ? MemberState.Alive : member.State,
                    Reported = reported,
                    IsSuspected = suspected,
                };
            });
            return true;
        }
    }

    /// <summary>What to call whenever a worker sends something other than heartbeats. It shows that the worker lives.</summary>
    public Action Listener(WorkerId id)
    {
        lock (_changing) return _lifeSigns.TryGetValue(id, out var signs) ? signs.Heard : static () => { };
    }

    /// <summary>
    /// Plans do without the worker where they can, because it failed the same way again and again. That is over when it registers as another process.
    /// </summary>
    public void SetAside(WorkerId id, string reason)
    {
        lock (_changing)
        {
            if (Snapshot.FindPresent(id) is not { SetAside: "" } member) return;
            Change(id, _ => member with { SetAside = reason });
            LogSetAside(id, member.Name, reason);
        }
    }

    /// <summary>
    /// The worker's heartbeat stream is over, so it is lost. Only if this process has just been frozen, the worker may have given the stream up
    /// for that reason: it has the usual time to register again.
    /// </summary>
    /// <param name="key">Of the registration that the stream belonged to. If there was another since, the stream means nothing.</param>
    public void HeartbeatsEnded(WorkerId id, PeerKey key)
    {
        if (Snapshot.FindPresent(id) is not { } member || member.Key != key) return;
        if (pulse.AwakeFor >= deadlines.HeartbeatTimeout) MarkLost(id, "its heartbeat stream ended");
        else LogStreamEndedAfterBreak(id, member.Name);
    }

    /// <summary>From now on no new plan includes the worker.</summary>
    /// <returns>False if the worker is unknown or lost.</returns>
    public bool TryDrain(WorkerId id)
    {
        lock (_changing)
        {
            if (Snapshot.FindPresent(id) is not { } member) return false;
            if (member.State == MemberState.Draining) return true;
            Change(id, _ => member with { State = MemberState.Draining });
            LogDraining(id, member.Name);
            return true;
        }
    }

    /// <summary>Does nothing if the worker is unknown or already lost.</summary>
    public void MarkLost(WorkerId id, string reason)
    {
        lock (_changing)
        {
            if (!_lifeSigns.Remove(id, out var signs)) return;
            signs.Dispose();
            var (member, assigned) = (Snapshot.Find(id)!, Snapshot.IsAssigned(id));
            Change(id, _ => member with { State = MemberState.Lost, Loss = reason });
            _members.Update(ForgetOldestLost);
            if (member.State == MemberState.Draining && !assigned)
            {
                LogLeft(id, member.Name);
                return;
            }
            Interlocked.Increment(ref _lostInAll);
            LogLost(id, member.Name, reason);
        }
    }

    /// <summary>Puts the plan into force.</summary>
    /// <exception cref="InvalidOperationException">Its view version is not above all earlier ones.</exception>
    public void Adopt(ClusterPlan plan)
    {
        lock (_changing)
        {
            if (plan.ViewVersion <= Snapshot.ViewVersion)
                throw new InvalidOperationException($"view {plan.ViewVersion} is planned, but {Snapshot.ViewVersion} was there before");
            _members.Update(snapshot => snapshot with { ViewVersion = plan.ViewVersion, Plan = plan, StandingBy = [] });
        }
    }

    /// <summary>Ends the plan in force: no worker is assigned any more.</summary>
    public void Dismiss() => _members.Update(snapshot => snapshot.Plan is null ? snapshot : snapshot with { Plan = null, StandingBy = [] });

    /// <summary>The plan in force serves. Its workers have all that they need of those that served before.</summary>
    public void Serves() => _members.Update(snapshot => snapshot with { Served = snapshot.Plan });

    /// <summary>There are no workers for another view, so nobody fetches anything from those that served last.</summary>
    public void LetGo() => _members.Update(snapshot => snapshot.Served is null ? snapshot : snapshot with { Served = null });

    /// <summary>These spares have what they may come to need. Each hears of it with the answer to its next heartbeat.</summary>
    public void StandBy(ImmutableHashSet<WorkerId> spares) =>
        _members.Update(snapshot => snapshot.Plan is null ? snapshot : snapshot with { StandingBy = spares });

    public void Dispose()
    {
        lock (_changing)
        {
            foreach (var signs in _lifeSigns.Values) signs.Dispose();
            _lifeSigns.Clear();
            _forgetting?.Dispose();
        }
    }

    /// <summary>The last one that tried has not tried again, and so has none before it.</summary>
    void ForgetUnreachable() => _members.Update(snapshot => snapshot with { Unreachable = [] });

    /// <summary>The worker has been silent for a while.</summary>
    void Judge(WorkerId id)
    {
        lock (_changing)
        {
            if (!_lifeSigns.TryGetValue(id, out var signs)) return;
            switch (signs.Judge())
            {
                case Wellness.Silent:
                    MarkLost(id, $"nothing was heard of it for {deadlines.HeartbeatTimeout.TotalSeconds:0.###} s");
                    break;
                case Wellness.Suspected when Snapshot.Find(id) is { IsSuspected: false } member:
                    Change(id, _ => member with { IsSuspected = true });
                    LogSuspected(id, member.Name, signs.Longest.TotalSeconds);
                    break;
            }
        }
    }

    Member Resume(Member same, Member again)
    {
        var resumed = again with { State = same.State, Reported = same.Reported, IsSuspected = same.IsSuspected, SetAside = same.SetAside };
        Change(same.Id, _ => resumed);
        _members.Update(snapshot => Reached(snapshot, same.Address));
        _lifeSigns[same.Id].Resume();
        LogResumed(same.Id, same.Name);
        return resumed;
    }

    void Change(WorkerId id, Func<Member, Member> change) => _members.Update(snapshot =>
    {
        var old = snapshot.Find(id)!;
        var changed = change(old);
        return ReferenceEquals(old, changed) ? snapshot : snapshot with { Members = snapshot.Members.Replace(old, changed) };
    });

    static MembershipSnapshot Reached(MembershipSnapshot snapshot, Uri address) =>
        snapshot with { Unreachable = snapshot.Unreachable.RemoveAll(other => other.Address == address) };

    static MembershipSnapshot ForgetOldestLost(MembershipSnapshot snapshot)
    {
        var surplus = snapshot.Members.Count(member => member.IsLost) - MaxLost;
        return surplus <= 0
            ? snapshot
            : snapshot with { Members = snapshot.Members.RemoveRange(snapshot.Members.Where(member => member.IsLost).Take(surplus)) };
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Worker {Name} at {Address} registered as {Worker}")]
    partial void LogRegistered(WorkerId worker, string name, Uri address);

    [LoggerMessage(Level = LogLevel.Information, Message = "Worker {Name} ({Worker}) registered again; it keeps its part of the plan")]
    partial void LogResumed(WorkerId worker, string name);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "The heartbeat stream of worker {Name} ({Worker}) ended while this process was frozen; it may register again")]
    partial void LogStreamEndedAfterBreak(WorkerId worker, string name);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "Worker {Name} ({Worker}) is suspected: nothing was heard of it for {Seconds:0.0} s, longer than is usual for it")]
    partial void LogSuspected(WorkerId worker, string name, double seconds);

    [LoggerMessage(Level = LogLevel.Information, Message = "Worker {Name} ({Worker}) is well again: its heartbeats come as usual")]
    partial void LogWellAgain(WorkerId worker, string name);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Worker {Name} ({Worker}) is set aside: {Reason}")]
    partial void LogSetAside(WorkerId worker, string name, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Worker {Name} ({Worker}) wants to leave")]
    partial void LogDraining(WorkerId worker, string name);

    [LoggerMessage(Level = LogLevel.Information, Message = "Worker {Name} ({Worker}) has left")]
    partial void LogLeft(WorkerId worker, string name);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Worker {Name} ({Worker}) is lost: {Reason}")]
    partial void LogLost(WorkerId worker, string name, string reason);
}
