using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Membership;

/// <summary>A worker as the coordinator knows it. Immutable.</summary>
/// <param name="Name">For people; not unique.</param>
/// <param name="Address">Where the coordinator and other workers reach it.</param>
public sealed record Member(WorkerId Id, string Name, Uri Address)
{
    public MemberState State { get; init; } = MemberState.Joining;

    /// <summary>Where this worker reaches the coordinator; the address it registered at.</summary>
    public required Uri CoordinatorAddress { get; init; }

    public WorkerCapabilities Capabilities { get; init; } = WorkerCapabilities.Unknown;

    /// <summary>Why it is lost; empty while it is not.</summary>
    public string Loss { get; init; } = "";

    /// <summary>What it last said of itself: idle, loading or ready.</summary>
    public WorkerState Reported { get; init; } = WorkerState.Idle;

    /// <summary>The highest view version it said it knows; a new plan must be above it, or the worker would take it for an old one.</summary>
    public ulong ViewVersion { get; init; }

    /// <summary>What planning needs to know of it.</summary>
    public CandidateWorker ToCandidate() => new(Id, Name, Address, Capabilities.Machine);

    public bool IsLost => State == MemberState.Lost;

    /// <summary>For people: "worker NAME (ADDRESS)".</summary>
    public override string ToString() => $"worker {Name} ({PeerAddress.Format(Address)})";
}
