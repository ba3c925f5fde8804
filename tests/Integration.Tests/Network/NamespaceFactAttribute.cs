namespace LlamaCluster.Integration.Tests.Network;

/// <summary>A test that makes network namespaces; where that cannot be done it is reported as not run, with the reason.</summary>
public sealed class NamespaceFactAttribute : FactAttribute
{
    /// <param name="slowLinks">It needs links of a certain shape.</param>
    /// <param name="faults">It needs links that it can cut.</param>
    public NamespaceFactAttribute(bool slowLinks = false, bool faults = false)
    {
        if (NetworkAbility.Namespaces is { } none) Skip = $"not run: {none}";
        else if (faults && NetworkAbility.Tun is { } neverTun) Skip = $"not run: {neverTun}";
        else if (slowLinks && NetworkAbility.Netem is { } noNetem && NetworkAbility.Tun is { } noTun) Skip = $"not run: {noNetem}; {noTun}";
    }
}
