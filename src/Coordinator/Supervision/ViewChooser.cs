using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>What the next view is to be made of.</summary>
/// <param name="Usable">All workers that could be used when it was chosen.</param>
/// <param name="Members">Those that are to be.</param>
/// <param name="Plan">The last view's plan with others in some places; null: a plan has yet to be made.</param>
sealed record ViewCandidates(IReadOnlyList<Member> Usable, IReadOnlyList<Member> Members, PlanOutcome.Planned? Plan);

/// <summary>
/// Chooses the workers of views. As many as are wanted make a view. Fewer do where a view has served before, or all the others have been waited for;
/// whether they have the memory, their plan tells.
/// </summary>
sealed class ViewChooser(SupervisorOptions options, WorkerRegistry registry, IViewStages stages)
{
    /// <param name="last">The last view that served; null: none has.</param>
    /// <param name="mayBeFewer">Whether fewer workers than are wanted will do.</param>
    /// <returns>Null if there are too few workers.</returns>
    public ViewCandidates? Choose(MembershipSnapshot now, ServedView? last, bool mayBeFewer)
    {
        Member[] usable = [.. now.Usable];
        if (last is not null && Math.Min(usable.Length, options.Workers) <= last.Members.Count && Takeover.Of(last, usable, now.ViewVersion + 1) is { } planned)
            return new ViewCandidates(usable, [.. planned.Plan.Assignments.Select(part => usable.First(member => member.Id == part.Worker))], planned);
        if (usable.Length < options.Workers && (!mayBeFewer || usable.Length < options.MinWorkers)) return null;
        return new ViewCandidates(usable, Pick(usable, last), null);
    }

    /// <summary>Whether the workers that are usable now can serve the model.</summary>
    public bool CanGoOn(MembershipSnapshot now, ServedView last) =>
        Choose(now, last, mayBeFewer: true) is { } candidates
        && (candidates.Plan is not null || stages.Plan(RequestFor(candidates.Members)) is PlanOutcome.Planned);

    public PlanRequest RequestFor(IReadOnlyList<Member> members)
    {
        var view = registry.Snapshot.ViewVersion + 1;
        // By name, not as they came: who is started again gets the layers again that it had, and may still hold.
        CandidateWorker[] workers = [.. members.OrderBy(member => member.Name, StringComparer.Ordinal).Select(member => member.ToCandidate())];
        return options.RequestFor(view, workers);
    }

    /// <summary>As many as are wanted, or all: first those that served, then as they came. Who is set aside comes last, and only where it is needed.</summary>
    Member[] Pick(IReadOnlyList<Member> usable, ServedView? last)
    {
        Member[] picked = [.. usable.OrderBy(member => (member.SetAside.Length > 0, last?.Plan.Find(member.Id) is null)).Take(options.Workers)];
        Member[] sound = [.. picked.Where(member => member.SetAside.Length == 0)];
        return sound.Length < picked.Length && sound.Length >= options.MinWorkers && stages.Plan(RequestFor(sound)) is PlanOutcome.Planned ? sound : picked;
    }
}
