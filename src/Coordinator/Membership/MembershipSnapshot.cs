using System.Collections.Immutable;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Coordinator.Membership;

/// <summary>Who is in the cluster, and what is assigned to whom, at one moment. Immutable.</summary>
/// <param name="ViewVersion">Of the newest plan there ever was; only grows.</param>
/// <param name="Members">In the order of registration; the last lost ones among them.</param>
/// <param name="Plan">The plan in force; null while there is none.</param>
public sealed record MembershipSnapshot(ulong ViewVersion, ImmutableArray<Member> Members, ClusterPlan? Plan)
{
    public static MembershipSnapshot Empty { get; } = new(0, [], null);

    /// <summary>Those that a plan may include.</summary>
    public IEnumerable<Member> Usable => Members.Where(member => member.State == MemberState.Alive);

    public Member? Find(WorkerId id) => Members.FirstOrDefault(member => member.Id == id);

    /// <summary>The member, unless it is lost.</summary>
    public Member? FindPresent(WorkerId id) => Find(id) is { IsLost: false } member ? member : null;

    public bool IsAssigned(WorkerId id) => Plan?.Find(id) is not null;
}
