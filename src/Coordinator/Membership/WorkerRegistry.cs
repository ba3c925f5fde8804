using LlamaCluster.Cluster;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Membership;

/// <summary>
/// Who is in the cluster. A worker registers, and plans may include it from its first heartbeat on. It is lost when its heartbeat stream
/// breaks, when no heartbeat comes within the timeout, when another process registers at its address, or when a part of the coordinator
/// that talks to it says so. A lost worker never comes back under its old id; it registers again. Safe for concurrent use.
/// </summary>
public sealed partial class WorkerRegistry(ClusterDeadlines deadlines, TimeProvider time, ILogger<WorkerRegistry> logger) : IDisposable
{
    /// <summary>Further registrations are refused, so that nobody can fill the coordinator's memory with them.</summary>
    public const int MaxMembers = 4096;

    /// <summary>How many lost members the snapshot keeps, for people to see.</summary>
    public const int MaxLost = 16;

    readonly Latest<MembershipSnapshot> _members = new(MembershipSnapshot.Empty);
    readonly Lock _changing = new();

    /// <summary>For each member that is not lost, the timer that a heartbeat restarts.</summary>
    readonly Dictionary<WorkerId, ITimer> _silence = [];

    int _lastId;

    public MembershipSnapshot Snapshot => _members.Value;

    public Task<MembershipSnapshot> WaitAsync(Func<MembershipSnapshot, bool> condition, CancellationToken cancellation)
        => _members.WaitAsync(condition, cancellation);

    /// <summary>Adds a worker under a new id. A member with the same address is lost from then on.</summary>
    /// <returns>Null if <see cref="MaxMembers"/> are registered.</returns>
    public Member? Register(Func<WorkerId, Member> describe)
    {
        lock (_changing)
        {
            if (Snapshot.Members.Count(member => !member.IsLost) >= MaxMembers) return null;
            var member = describe(new WorkerId($"w{++_lastId}"));
            foreach (var older in Snapshot.Members.Where(older => !older.IsLost && older.Address == member.Address))
                MarkLost(older.Id, $"another process registered at its address, as {member.Id}");
            _members.Update(snapshot => snapshot with { Members = snapshot.Members.Add(member) });
            var silence = deadlines.HeartbeatTimeout;
            _silence[member.Id] = time.CreateTimer(_ => MarkLost(member.Id, $"no heartbeat for {silence.TotalSeconds:0.###} s"), null, silence, Timeout.InfiniteTimeSpan);
            LogRegistered(member.Id, member.Name, member.Address);
            return member;
        }
    }

    /// <summary>Takes note of a heartbeat.</summary>
    /// <returns>False if the worker is unknown or lost; it has to register again.</returns>
    public bool TryBeat(WorkerId id, WorkerState reported, ulong viewVersion)
    {
        lock (_changing)
        {
            if (!_silence.TryGetValue(id, out var timer)) return false;
            timer.Change(deadlines.HeartbeatTimeout, Timeout.InfiniteTimeSpan);
            Change(id, member => member.State != MemberState.Joining && member.Reported == reported && member.ViewVersion >= viewVersion ? member : member with
            {
                State = member.State == MemberState.Joining ? MemberState.Alive : member.State,
                Reported = reported,
                ViewVersion = Math.Max(member.ViewVersion, viewVersion),
            });
            return true;
        }
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
            if (!_silence.Remove(id, out var timer)) return;
            timer.Dispose();
            var (member, assigned) = (Snapshot.Find(id)!, Snapshot.IsAssigned(id));
            Change(id, _ => member with { State = MemberState.Lost, Loss = reason });
            _members.Update(ForgetOldestLost);
            if (member.State == MemberState.Draining && !assigned) LogLeft(id, member.Name);
            else LogLost(id, member.Name, reason);
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
            _members.Update(snapshot => snapshot with { ViewVersion = plan.ViewVersion, Plan = plan });
        }
    }

    /// <summary>Ends the plan in force: no worker is assigned any more.</summary>
    public void Dismiss() => _members.Update(snapshot => snapshot.Plan is null ? snapshot : snapshot with { Plan = null });

    public void Dispose()
    {
        lock (_changing)
        {
            foreach (var timer in _silence.Values) timer.Dispose();
            _silence.Clear();
        }
    }

    void Change(WorkerId id, Func<Member, Member> change) => _members.Update(snapshot =>
    {
        var old = snapshot.Find(id)!;
        var changed = change(old);
        return ReferenceEquals(old, changed) ? snapshot : snapshot with { Members = snapshot.Members.Replace(old, changed) };
    });

    static MembershipSnapshot ForgetOldestLost(MembershipSnapshot snapshot)
    {
        var surplus = snapshot.Members.Count(member => member.IsLost) - MaxLost;
        return surplus <= 0 ? snapshot : snapshot with { Members = snapshot.Members.RemoveRange(snapshot.Members.Where(member => member.IsLost).Take(surplus)) };
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Worker {Name} at {Address} registered as {Worker}")]
    partial void LogRegistered(WorkerId worker, string name, Uri address);

    [LoggerMessage(Level = LogLevel.Information, Message = "Worker {Name} ({Worker}) wants to leave")]
    partial void LogDraining(WorkerId worker, string name);

    [LoggerMessage(Level = LogLevel.Information, Message = "Worker {Name} ({Worker}) has left")]
    partial void LogLeft(WorkerId worker, string name);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Worker {Name} ({Worker}) is lost: {Reason}")]
    partial void LogLost(WorkerId worker, string name, string reason);
}
