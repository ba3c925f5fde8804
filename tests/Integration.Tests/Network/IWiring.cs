namespace LlamaCluster.Integration.Tests.Network;

/// <summary>What joins machines to a network. All of it goes away with it.</summary>
interface IWiring : IDisposable
{
    /// <param name="machines">Each one's namespace, where null is this process's own, and address.</param>
    void Connect(IReadOnlyList<(string? Namespace, string Address)> machines);
}
