namespace LlamaCluster.Coordinator.Tests.Soak;

/// <summary>Memory and timers are the process's: what else runs would be counted too.</summary>
[CollectionDefinition(nameof(SoakAlone), DisableParallelization = true)]
public sealed class SoakAlone;
