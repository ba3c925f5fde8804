using System.Collections.Immutable;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Membership;

/// <summary>Who is in the cluster at one moment, and what is assigned to whom. Immutable.</summary>
/// <param name="ViewVersion">The version of the newest plan there ever was; it only grows.</param>
/// <param name="Members">In the order of registration, with the last few lost ones among them.</param>
/// <param name="Plan">The plan in force; null while there is none.</param>
public sealed record MembershipSnapshot(ulong ViewVersion, ImmutableArray<Member> Members, ClusterPlan? Plan)
{
    public static MembershipSnapshot Empty { get; } = new(0, [], null);

    /// <summary>Workers that would register, but cannot be reached where they say that they are. The last few, oldest first.</summary>
    public ImmutableArray<UnreachableWorker> Unreachable { get; init; } = [];

    /// <summary>Spares that have loaded what they may come to need, or have nothing to load. None while no plan is in force.</summary>
    public ImmutableHashSet<WorkerId> StandingBy { get; init; } = [];

    /// <summary>
    /// The plan of the last view that served: until the next one does, its workers have KV that others may fetch. Null: nobody waits for that.
    /// </summary>
    public ClusterPlan? Served { get; init; }

    /// <summary>The members that a new plan may include. Those that are set aside come last.</summary>
    public IEnumerable<Member> Usable =>
        Members.Where(member => member is { State: MemberState.Alive, IsSuspected: false }).OrderBy(member => member.SetAside.Length > 0);

    /// <summary>Whether a new plan could include these workers, in this order, and no others.</summary>
    public bool HasUsable(IEnumerable<Member> members) => Usable.Select(member => member.Id).SequenceEqual(members.Select(member => member.Id));

    public Member? Find(WorkerId id) => Members.FirstOrDefault(member => member.Id == id);

    /// <summary>The member, unless it is lost.</summary>
    public Member? FindPresent(WorkerId id) => Find(id) is { IsLost: false } member ? member : null;

    public bool IsAssigned(WorkerId id) => Plan?.Find(id) is not null;

    /// <summary>Whether the worker is still of use: it is assigned, or another one may fetch KV from it.</summary>
    public bool IsNeeded(WorkerId id) => IsAssigned(id) || Served?.Find(id) is not null;

    /// <param name="wanted">Workers that the operator wants to serve.</param>
    public WorkerCounts Count(int wanted) => new(
        wanted,
        Members.Count(member => !member.IsLost && IsAssigned(member.Id)),
        Usable.Count(member => !IsAssigned(member.Id) && member.SetAside.Length == 0),
        Members.Count(member => !member.IsLost && member.IsSuspected),
        Members.Count(member => !member.IsLost && member.SetAside.Length > 0));
}

/// <summary>A worker as the coordinator knows it. Immutable.</summary>
/// <param name="Name">For people; not unique.</param>
/// <param name="Address">Where the coordinator and other workers reach it.</param>
public sealed record Member(WorkerId Id, string Name, Uri Address)
{
    public MemberState State { get; init; } = MemberState.Joining;

    public WorkerCapabilities Capabilities { get; init; } = WorkerCapabilities.Unknown;

    /// <summary>Why it is lost; empty while it is not.</summary>
    public string Loss { get; init; } = "";

    /// <summary>The state that its last heartbeat reported: idle, loading or ready.</summary>
    public WorkerState Reported { get; init; } = WorkerState.Idle;

    /// <summary>What it and the coordinator show each other in their calls.</summary>
    public required PeerKey Key { get; init; }

    /// <summary>The same for as long as its process lives. Empty: not said.</summary>
    public string InstanceId { get; init; } = "";

    public bool IsLost => State == MemberState.Lost;

    /// <summary>
    /// It is silent for longer than is usual for it. It may only be slow: it keeps what it holds, and counts again when its heartbeats come again.
    /// </summary>
    public bool IsSuspected { get; init; }

    /// <summary>Why plans do without it where they can; empty: they do not.</summary>
    public string SetAside { get; init; } = "";

    /// <summary>What planning needs to know of it.</summary>
    public CandidateWorker ToCandidate() => new(Id, Name, Address, Capabilities.Machine);

    /// <summary>For people: "worker NAME (ADDRESS)".</summary>
    public override string ToString() => $"worker {Name} ({PeerAddress.Format(Address)})";
}

/// <summary>A worker that was not taken in, because it cannot be called back.</summary>
/// <param name="Since">When it tried last, as a timestamp.</param>
public sealed record UnreachableWorker(string Name, Uri Address, string Problem, long Since)
{
    /// <summary>One line for people, with what to do.</summary>
    public override string ToString() =>
        $"worker {Name} cannot be reached at {PeerAddress.Format(Address)}: {Problem}; start it with --listen and an address that the coordinator reaches";
}

public enum MemberState
{
    /// <summary>Registered, but without a heartbeat yet. No plan includes it.</summary>
    Joining,

    /// <summary>Sends heartbeats. Plans may include it.</summary>
    Alive,

    /// <summary>Wants to leave. It still works, but no new plan includes it.</summary>
    Draining,

    /// <summary>Gone. It stays in the list for a while so that people can see it.</summary>
    Lost,
}

/// <summary>What a worker says that it can do.</summary>
public sealed record WorkerCapabilities(
    MachineFacts Machine, string SoftwareVersion, string InstructionSet, IReadOnlyList<string> TensorTypes, IReadOnlyList<ActivationType> ActivationTypes)
{
    public static WorkerCapabilities Unknown { get; } = new(MachineFacts.Unknown, "", "", [], []);
}
