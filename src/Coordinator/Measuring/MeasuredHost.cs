using LlamaCluster.Coordinator.Membership;

namespace LlamaCluster.Coordinator.Measuring;

/// <summary>Which machine a member is on.</summary>
static class MeasuredHost
{
    /// <summary>As it says itself, else as its address does.</summary>
    public static string Of(Member member) => member.Capabilities.HostId.Length > 0 ? member.Capabilities.HostId : member.Address.Host;
}
