using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>A view that has served: the plan, and the workers that it was made for.</summary>
sealed record ServedView(PlanOutcome.Planned Planned, IReadOnlyList<Member> Members)
{
    public ClusterPlan Plan => Planned.Plan;

    public string NameOf(WorkerId worker) => Members.FirstOrDefault(member => member.Id == worker)?.Name ?? "";
}

/// <summary>
/// Puts other workers in the places of those that are gone, and leaves the rest of the plan as it was: nobody else has to load anything, and since
/// the shares of the ranks stay, every bit of every answer stays too. Pure.
/// </summary>
static class Takeover
{
    /// <param name="usable">The workers that there are. Those that are set aside are only kept where nobody can take over from them.</param>
    /// <returns>The plan under a new version; null if there are too few others, or too small ones.</returns>
    public static PlanOutcome.Planned? Of(ServedView last, IReadOnlyList<Member> usable, ulong viewVersion)
    {
        List<Member> spares = [.. usable.Where(member => last.Plan.Find(member.Id) is null && member.SetAside.Length == 0)];
        var assignments = last.Plan.Assignments.ToArray();
        for (var i = 0; i < assignments.Length; i++)
        {
            var part = assignments[i];
            var holder = usable.FirstOrDefault(member => member.Id == part.Worker);
            if (holder is { SetAside.Length: 0 }) continue;
            if (Successor(last, part, spares) is { } spare)
            {
                spares.Remove(spare);
                assignments[i] = Give(part, spare);
            }
            else if (holder is null)
            {
                return null;
            }
        }
        return Replan(last.Planned, assignments, viewVersion);
    }

    /// <summary>The plan with one worker in the place of another.</summary>
    /// <returns>Null if the worker has too little memory for it.</returns>
    public static PlanOutcome.Planned? Of(ServedView view, ShardAssignment part, Member spare) =>
        !Fits(view.Planned, part, spare) ? null
        : Replan(view.Planned, [.. view.Plan.Assignments.Select(other => other == part ? Give(part, spare) : other)], view.Plan.ViewVersion);

    /// <summary>A worker of the same name is the same one, started again: it has the weights on its disk. Else the first that has the memory.</summary>
    static Member? Successor(ServedView last, ShardAssignment part, List<Member> spares)
    {
        var name = last.NameOf(part.Worker);
        return spares.Where(spare => Fits(last.Planned, part, spare)).OrderBy(spare => spare.Name != name).FirstOrDefault();
    }

    static bool Fits(PlanOutcome.Planned planned, ShardAssignment part, Member spare)
    {
        var has = spare.Capabilities.Machine.MemoryBytes;
        var needs = planned.Pipeline.Prediction.Stages[part.Stage].Memory[part.Shard.Slice.Rank];
        return has == 0 || needs.Weights + needs.Buffers + needs.Kv * planned.KvBlocks / planned.Problem.Goal.KvBlocks <= has;
    }

    static ShardAssignment Give(ShardAssignment part, Member to) => part with { Worker = to.Id, Address = to.Address };

    static PlanOutcome.Planned Replan(PlanOutcome.Planned planned, IReadOnlyList<ShardAssignment> assignments, ulong viewVersion)
    {
        var plan = planned.Plan;
        return planned with { Plan = ClusterPlan.Create(viewVersion, plan.ModelName, plan.ModelDigest, plan.LayerCount, assignments) };
    }
}
