using LlamaCluster.Planning.Profiles;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Membership;

/// <summary>What a worker says it can do.</summary>
public sealed record WorkerCapabilities(
    MachineFacts Machine, string SoftwareVersion, string InstructionSet, IReadOnlyList<string> TensorTypes, IReadOnlyList<ActivationType> ActivationTypes)
{
    public static WorkerCapabilities Unknown { get; } = new(MachineFacts.Unknown, "", "", [], []);
}
