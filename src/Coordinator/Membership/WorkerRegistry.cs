using LlamaCluster.Cluster;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Membership;

/// <summary>
/// Who is in the cluster. A worker registers, and counts from its first heartbeat on; it is lost when its stream breaks, when it gives no
/// sign of life for the timeout, when another process registers at its address, or when whoever talks to it says so. A lost worker never
/// comes back under its id: it registers again. Safe for concurrent use.
/// </summary>
public sealed partial class WorkerRegistry(ClusterDeadlines deadlines, TimeProvider time, ILogger<WorkerRegistry> logger) : IDisposable
{
    /// <summary>More are refused, so that nobody can fill the coordinator's memory with registrations.</summary>
    public const int MaxMembers = 4096;

    /// <summary>How many lost members stay in sight.</summary>
    public const int MaxLost = 16;

    readonly Latest<MembershipSnapshot> _members = new(MembershipSnapshot.Empty);
    readonly Lock _changing = new();
    readonly Dictionary<WorkerId, ITimer> _silence = [];
    int _lastId;

    public MembershipSnapshot Snapshot => _members.Value;

    public Task<MembershipSnapshot> WaitAsync(Func<MembershipSnapshot, bool> condition, CancellationToken cancellation)
        => _members.WaitAsync(condition, cancellation);

    /// <summary>Takes a worker in, under a new id; one that was registered at the same address is lost.</summary>
    /// <returns>Null if there are too many.</returns>
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

    /// <summary>A sign of life.</summary>
    /// <returns>False: no such worker, or it was held for lost; it has to register again.</returns>
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

    /// <summary>The worker is in no new plan from now on. False: no such worker.</summary>
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

    /// <summary>Does nothing if the worker is lost already.</summary>
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

    /// <summary>The plan is in force from now on; its view version is above all before it.</summary>
    public void Adopt(ClusterPlan plan)
    {
        lock (_changing)
        {
            if (plan.ViewVersion <= Snapshot.ViewVersion)
                throw new InvalidOperationException($"view {plan.ViewVersion} is planned, but {Snapshot.ViewVersion} was there before");
            _members.Update(snapshot => snapshot with { ViewVersion = plan.ViewVersion, Plan = plan });
        }
    }

    /// <summary>No plan is in force any more: nobody holds a shard of it.</summary>
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
}
