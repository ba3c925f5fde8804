namespace LlamaCluster.Integration.Tests.Network;

/// <summary>Round trips are measured: what else runs would be measured, too.</summary>
[CollectionDefinition(nameof(NetworkAlone), DisableParallelization = true)]
public sealed class NetworkAlone;
